"""Runs the programs of this directory cold and warm and compares everything that comes of it.

    sameness.py [--interpreter PATH]... [--program NAME]... [--case NAME]

Without interpreters, all that can be found are used. Prints each difference, and ends with status 1 if there is one
that `EXPECTED` does not hold, or if one of those that it holds is not there.
"""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

import harness

PROGRAMS = os.path.join(harness.HERE, "programs")
# Each really uses a package of the index, and needs an interpreter that has it.
PACKAGES = os.path.join(harness.HERE, "packages")

# What a program can notice, by program and case; docs/warm.md says of each why.
EXPECTED = {
    ("surroundings", "parent_leads_session"),
    ("surroundings", "command_line"),
    ("surroundings", "initial_environment"),
    ("random", "hash_of_word"),
    ("settings", "collector_frozen"),
    ("settings", "collector_objects"),
    ("watchers", "profiled_to_the_end"),
}
# Where the question is answered in another way warm, so that the server leaves such a plugin cold.
STAYS_COLD = "stays cold"
COLD = {
    # Its debug allocator does not get over the end of a call.
    ("3.8", "PYTHONDEVMODE=1"),
}
# What can be noticed in a process that runs several calls.
EXPECTED_REUSED = {
    # What is left in libraries is left there.
    ("outputs", "replaced_by_class"),
    ("files", "temporary_place_named"),
    ("sources", "warning_line"),
    # Below the program are the frames of the server's part.
    ("sources", "names_of_frames"),
    ("frames", "stack"),
    ("frames", "format_stack"),
    ("frames", "bottom"),
    ("frames", "depth"),
    ("endings", "recursion"),
    # The words that the interpreter itself writes to stderr at its end; the status is the same.
    ("endings", "broken_pipe"),
    ("endings", "broken_pipe_at_end"),
    ("endings", "closed_descriptor"),
    ("endings", "stderr_none"),
    ("descriptors", "closed_output"),
    ("descriptors", "closed_output_flushed"),
    # The server's part has descriptors of its own.
    ("descriptors", "lowest"),
    ("descriptors", "none_else"),
    ("endings", "hook_fails"),
    ("endings", "hook_exits"),
}
# The same, by some interpreters only.
SOMETIMES_REUSED = {("endings", "exit_huge"), ("descriptors", "output_to_error")}
# What can be noticed in forks of an interpreter that many programs have in common, by those that import `argparse` and
# do not use it: it has imported already what it imports when it is used. Objects of modules that are imported anew are
# the fork's own.
SOMETIMES_COMMON = {("modules", "loaded"), ("modules", "loaded_at_exit"), ("settings", "collector_objects")}
# These are compared by every interpreter that there is, since the start and the end of a process differ most from one to
# the next; the others, and all in reused processes, by the oldest and the newest.
BY_ALL = "children cleanup endings frames modules outputs random settings signals stdin surroundings threads".split()
# Cases whose output is another one in each run.
DIFFERS = ("random", "use_numpy_random", "use_cryptography_random")
STDIN = {"text": "words ä\nmore\n".encode(), "binary": bytes(range(256)), "empty": b"", "long": b"[1, 2]" + b" " * 300000}


def interpreters():
    """Every CPython from 3.8 on this machine that can be found, by its real path."""
    found = {}
    names = [sys.executable] + glob.glob("/usr/bin/python3*[0-9]") + glob.glob("/usr/local/bin/python3*[0-9]")
    names += glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3"))
    for name in sorted(names):
        path = os.path.realpath(name)
        asked = [name, "-c", "import sys; print(sys.version_info[:2] >= (3, 8) and sys.implementation.name)"]
        done = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if done.stdout.strip() == b"cpython":
            found[path] = name
    return sorted(found.values(), key=lambda path: [int(number) for number in version_of(path).split(".")])


# What an interpreter is set by: these programs run once more with a warm parent for each.
SETTINGS = {
    "commandline": [{"LANGUAGE": "de", "COLUMNS": "none"}],
    "texts": [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"LC_ALL": "none.none"},
        {"PYTHONIOENCODING": "latin-1:backslashreplace"},
        {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "1"},
    ],
    "switches": [
        {"PYTHONHASHSEED": "7"},
        {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "error::DeprecationWarning,ignore::ResourceWarning"},
        {"PYTHONDEVMODE": "1"},
        {"PYTHONOPTIMIZE": "2", "PYTHONDONTWRITEBYTECODE": "1"},
        {"PYTHONTRACEMALLOC": "5", "PYTHONFAULTHANDLER": "1"},
        {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONINTMAXSTRDIGITS": "1000"},
        {"PYTHONBREAKPOINT": "0", "PYTHONASYNCIODEBUG": "1", "PYTHONPYCACHEPREFIX": "/tmp/warm-pycache"},
        {"PYTHONMALLOC": "malloc", "PYTHONUNBUFFERED": "x"},
    ],
}


def version_of(interpreter):
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.check_output([interpreter, "-c", code], universal_newlines=True).strip()


def environment(buffered=False, **more):
    """As the server makes it for a call; `buffered`, as a shell does."""
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    if not buffered:
        variables.update(PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8")
    return dict(variables, **more)


def calls(program, case, base):
    """The ways in which a case is called: a name and what the harness takes."""

    def having(**more):
        return {"environment": dict(base, **more)}

    if program == "stdin":
        yield "no stdin", {}
        for name, data in STDIN.items():
            yield name, {"stdin": data}
        return
    if program == "switches" and case == "hash" and "PYTHONHASHSEED" not in base:
        return
    yield "", {}
    if program == "surroundings":
        yield "environment", having(PLUGIN_TOKEN="secret", AAA="1", EMPTY="", LINE="a\nb", BYTES="\udcff")
        yield "order", {"environment": dict(reversed(list(having(ZZZ="1")["environment"].items())))}
        yield "arguments", {"more": ["", "--x=ä", "\udcfe", "a b", "-"]}
        yield "events", {"events": True}
    if case == "words" or program == "texts" and case == "arguments":
        yield "odd words", {"more": ["", "--x=ä", "\udcfe", "a b", "-", "ä'\"\n"]}
    if program == "commandline" and case.startswith("help"):
        yield "columns", having(COLUMNS="60")
    if case in ("zone", "local", "zones"):
        yield "zone", having(TZ="America/New_York")
        yield "odd zone", having(TZ="XYZ-3:30")


class Room:
    """A directory for one call; what the call leaves in it is part of the result."""

    def __init__(self):
        self.path = os.path.join(tempfile.gettempdir(), "warm-room-%d" % os.getpid())

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)
        os.mkdir(self.path)
        return self.path

    def left(self):
        """What is below it: files with their bytes, everything else by its kind."""
        found = {}
        for folder, folders, files in os.walk(self.path):
            for name in folders + files:
                path = os.path.join(folder, name)
                kind = os.lstat(path).st_mode
                shown = os.fsencode(os.path.relpath(path, self.path))
                found[shown] = oct(kind)
                # Compiled files name the time of their sources.
                if stat.S_ISREG(kind) and not name.endswith(".pyc"):
                    with open(path, "rb") as file:
                        found[shown] = oct(kind), file.read()
        return found

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def run(runner, case, base, options):
    options = dict(options)
    arguments = [case] + options.pop("more", [])
    events = None
    if options.pop("events", False):
        events, other = os.pipe()
        os.close(other)
    options.setdefault("environment", base)
    room = Room()
    with room as directory:
        result = runner(harness.Call(arguments, directory=directory, events=events, **options))
        if events is not None:
            os.close(events)
        return result and (result.status, scrub(result.stdout), scrub(result.stderr), room.left())


def scrub(output):
    """Addresses and process numbers are another one in each run, cold as well."""
    output = re.sub(rb"0x[0-9a-f]{6,}", b"0xADDRESS", output)
    output = re.sub(rb"started \d{5,}|<_MainThread\(MainThread, started \d+\)>", b"started NUMBER", output)
    return re.sub(rb"(sem-mp-|/mp-|pid=|Thread-)[\w-]+", rb"\1NAME", output)


def cases_of(interpreter, script, base):
    described = harness.cold(interpreter, script, harness.Call(["--describe"], base))
    assert described.status == 0, described
    return [command["name"] for command in json.loads(described.stdout)["commands"]]


def compare(interpreter, directory, program, only=None, buffered=False, reuse=False, settings_too=True, common=False):
    """The differences of one program: case, way, cold, warm."""
    compared, differences, warmed = 0, [], None
    for settings in [{}] + (SETTINGS.get(program, []) if settings_too else []):
        base = environment(buffered, **settings)
        more = compare_in(interpreter, os.path.join(directory, program, "cli.py"), program, base, only, reuse, common)
        name = " ".join("%s=%s" % item for item in settings.items())
        compared += more[0]
        differences += [(case, " ".join(filter(None, (way, name))), cold, warm) for case, way, cold, warm in more[1]]
        warmed = warmed or more[2]
    return compared, differences, warmed


def compare_in(interpreter, script, program, base, only, reuse, common):
    """The same in one environment."""
    cases = [case for case in cases_of(interpreter, script, base) if only is None or case == only]
    differences = []
    compared = 0

    def executed(call):
        return harness.cold(interpreter, script, call)

    with made(interpreter, script, base, common) as (warmed, lane):
        with lane:
            # The server's own proof.
            if run(lane.run, "--describe", base, {}) != run(executed, "--describe", base, {}):
                return 0, [(STAYS_COLD, "", None, None)], warmed
            for case in cases:
                for way, options in calls(program, case, base):
                    cold = run(executed, case, base, options)
                    warm = run(lane.run, case, base, dict(options, reuse=reuse))
                    compared += 1
                    if program in DIFFERS:
                        again = run(lane.run, case, base, options)
                        if warm is None or warm[1] == again[1] or warm[1] == cold[1] or warm[0] != cold[0]:
                            differences.append((case, "twice the same", warm, again))
                    elif warm != cold:
                        differences.append((case, way, cold, warm))
    return compared, differences, warmed


@contextlib.contextmanager
def made(interpreter, script, base, common):
    """What was learned, and a lane: of a parent of the program's own, or of one that all programs have in common."""
    if common:
        with harness.Common(interpreter, base) as parent:
            parent.share()
            yield {"modules": []}, parent.lane(script)
    else:
        with harness.Parent(interpreter, script, base) as parent:
            yield parent.warm_up(harness.Call(["--describe"], base)), parent.lane()


def show(part):
    if part is None:
        return "refused"
    return "status %d\n      out %r\n      err %r\n      files %r" % tuple(
        repr(value)[-1500:] if isinstance(value, bytes) else value for value in part
    )


def lead_session():
    """Goes on in a process that leads a session, as a supervisor does."""
    pid = os.fork()
    if pid:
        sys.exit(1 if os.waitpid(pid, 0)[1] else 0)
    os.setsid()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--interpreter", action="append")
    parser.add_argument("--program", action="append")
    parser.add_argument("--case")
    parser.add_argument("--packages", action="store_true", help="the programs that use packages of the index")
    parser.add_argument("--reuse", action="store_true", help="all calls of a program in one process")
    parser.add_argument("--common", action="store_true", help="in forks of a parent that all programs have in common")
    parser.add_argument("--buffered", action="store_true", default=None)
    given = parser.parse_args()
    lead_session()
    failed = False
    total = 0
    expected = EXPECTED_REUSED if given.reuse else EXPECTED
    sometimes = SOMETIMES_REUSED if given.reuse else SOMETIMES_COMMON if given.common else set()
    directory = PACKAGES if given.packages else PROGRAMS
    loaded = 0
    asked = given.interpreter or interpreters()
    if given.common:
        # Older ones are never asked so.
        asked = [interpreter for interpreter in asked if version_of(interpreter) != "3.8"]
    for interpreter in asked:
        version = version_of(interpreter)
        for program in given.program or sorted(os.listdir(directory)):
            core = given.packages or program in BY_ALL and not (given.reuse or given.common)
            if not core and interpreter not in (asked[0], asked[-1]):
                continue
            seen = set()
            # In the environment of a call output is not buffered: one interpreter has it so. That it is, is the harder case,
            # which the others have, and one that is alone as well.
            unbuffered = core and interpreter == asked[0] and not given.buffered
            for buffered in [True] * (not unbuffered or len(asked) == 1) + [False] * unbuffered:
                # What a variable does to an interpreter takes long to look at: the newest has them all.
                settings_too = interpreter == asked[-1] and not given.common
                compared, differences, warmed = compare(
                    interpreter, directory, program, given.case, buffered, given.reuse, settings_too, given.common
                )
                loaded += len(warmed["modules"])
                total += compared
                if given.packages:
                    left = dict(warmed["left_out"], **warmed["spoiled"])
                    print("%s: %d modules learned, left out: %s" % (program, len(warmed["modules"]), left))
                for case, way, cold, warm in differences:
                    if case == STAYS_COLD and (version, way) in COLD:
                        print("%s: %s stays cold with %s" % (interpreter, program, way))
                        continue
                    if (program, case) in expected | sometimes:
                        seen.add((program, case))
                        continue
                    failed = True
                    name = " ".join(filter(None, (program, case, way, "buffered" if buffered else "")))
                    print("%s: %s\n    cold %s\n    warm %s" % (interpreter, name, show(cold), show(warm)), flush=True)
            missing = {entry for entry in expected if entry[0] == program} - seen - sometimes
            if missing and not given.case:
                failed = True
                print("%s: no longer different: %s" % (interpreter, sorted(missing)))
    print("%d calls compared, %d modules learned" % (total, loaded))
    sys.exit(failed)


if __name__ == "__main__":
    main()
