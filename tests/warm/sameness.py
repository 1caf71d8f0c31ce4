"""Runs the programs of this directory cold and warm and compares everything that comes of it.

    sameness.py [--interpreter PATH]... [--program NAME]... [--case NAME]

Without interpreters, all that can be found are used. Prints each difference, and ends with status 1 if there is one
that `EXPECTED` does not hold, or if one of those that it holds is not there.
"""

import argparse
import glob
import json
import os
import re
import shutil
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
}
# What can be noticed in a process that runs several calls: what is left in libraries is left there.
EXPECTED_REUSED = {
    ("outputs", "replaced_by_class"),
}
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
    return sorted(found.values())


def environment(buffered=False, **more):
    """As the server makes it for a call; `buffered`, as a shell does."""
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}
    if not buffered:
        variables.update(PYTHONUNBUFFERED="1", PYTHONIOENCODING="utf-8")
    return dict(variables, **more)


def calls(program, case, buffered):
    """The ways in which a case is called: a name and what the harness takes."""
    if program == "stdin":
        yield "no stdin", {}
        for name, data in STDIN.items():
            yield name, {"stdin": data}
        return
    yield "", {}
    if program == "surroundings":
        more = {"PLUGIN_TOKEN": "secret", "AAA": "1", "EMPTY": "", "LINE": "a\nb", "BYTES": "\udcff"}
        yield "environment", {"environment": environment(buffered, **more)}
        yield "order", {"environment": dict(reversed(list(environment(buffered, ZZZ="1").items())))}
        yield "arguments", {"more": ["", "--x=ä", "\udcfe", "a b", "-"]}
        yield "events", {"events": True}
    if case == "zone":
        yield "zone", {"environment": environment(buffered, TZ="America/New_York")}
        yield "odd zone", {"environment": environment(buffered, TZ="XYZ-3:30")}


class Room:
    """A directory for one call; what the call leaves in it is part of the result."""

    def __init__(self):
        self.path = os.path.join(tempfile.gettempdir(), "warm-room-%d" % os.getpid())

    def __enter__(self):
        shutil.rmtree(self.path, ignore_errors=True)
        os.mkdir(self.path)
        return self.path

    def left(self):
        files = {}
        for name in sorted(os.listdir(self.path)):
            with open(os.path.join(self.path, name), "rb") as file:
                files[name] = file.read()
        return files

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


def compare(interpreter, directory, program, only=None, buffered=False, reuse=False):
    """The differences of one program: case, way, cold, warm."""
    script = os.path.join(directory, program, "cli.py")
    base = environment(buffered)
    cases = [case for case in cases_of(interpreter, script, base) if only is None or case == only]
    differences = []
    compared = 0
    with harness.Parent(interpreter, script, base) as parent:
        warmed = parent.warm_up(harness.Call(["--describe"], base))
        with parent.lane() as lane:
            for case in cases:
                for way, options in calls(program, case, buffered):
                    cold = run(lambda call: harness.cold(interpreter, script, call), case, base, options)
                    warm = run(lane.run, case, base, dict(options, reuse=reuse))
                    compared += 1
                    if program in DIFFERS:
                        again = run(lane.run, case, base, options)
                        if warm is None or warm[1] == again[1] or warm[1] == cold[1] or warm[0] != cold[0]:
                            differences.append((case, "twice the same", warm, again))
                    elif warm != cold:
                        differences.append((case, way, cold, warm))
    return compared, differences, warmed


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
    parser.add_argument("--buffered", action="store_true", default=None)
    given = parser.parse_args()
    lead_session()
    failed = False
    total = 0
    expected = EXPECTED_REUSED if given.reuse else EXPECTED
    directory = PACKAGES if given.packages else PROGRAMS
    first = None
    for interpreter in given.interpreter or interpreters():
        first = first or interpreter
        for program in given.program or sorted(os.listdir(directory)):
            seen = set()
            # In the environment of a call output is not buffered; that it is, is the harder case.
            for buffered in (True, False) if interpreter == first and not given.buffered else (True,):
                compared, differences, warmed = compare(
                    interpreter, directory, program, given.case, buffered, given.reuse
                )
                total += compared
                if given.packages:
                    left = dict(warmed["left_out"], **warmed["spoiled"])
                    print("%s: %d modules learned, left out: %s" % (program, len(warmed["modules"]), left))
                for case, way, cold, warm in differences:
                    if (program, case) in expected:
                        seen.add((program, case))
                        continue
                    failed = True
                    name = " ".join(filter(None, (program, case, way, "buffered" if buffered else "")))
                    print("%s: %s\n    cold %s\n    warm %s" % (interpreter, name, show(cold), show(warm)), flush=True)
            missing = {entry for entry in expected if entry[0] == program} - seen
            if missing and not given.case:
                failed = True
                print("%s: no longer different: %s" % (interpreter, sorted(missing)))
    print("%d calls compared" % total)
    sys.exit(failed)


if __name__ == "__main__":
    main()
