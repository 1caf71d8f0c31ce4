"""Claims about what two calls of one plugin must not have in common, by each interpreter that is named.

Plays the server's part, as `sameness.py` does. Prints each claim that is not true, and ends with status 1 then.
"""

import os
import sys
import tempfile

import harness
from sameness import environment, interpreters, lead_session

INSTALLED = {
    "plain": "VALUE = 1\n",
    "memory": "import mmap\nBUFFER = mmap.mmap(-1, 64)\n",
    "drawn": "import random\nTOKEN = random.getrandbits(64)\n",
    "told": "import os\nwith open(os.environ['CONFIGURATION']) as file:\n    TEXT = file.read()\n",
    "dependent": "import told\n",
}
SCRIPT = """
import sys, tempfile
import plain, memory, drawn, told, dependent
before = bytes(memory.BUFFER[:5])
if sys.argv[1] != "--describe":
    memory.BUFFER[:5] = sys.argv[1].encode()
print(plain.VALUE, before, drawn.TOKEN if sys.argv[1] != "--describe" else "", told.TEXT)
"""
REUSED = """
import atexit, io, os, signal, sys, tempfile, weakref
from concurrent.futures import ThreadPoolExecutor
case = sys.argv[1]
class Loud:
    def __del__(self):
        print("the end of", case)
def leads_back():
    return loud, file
loud = file = None
if case == "globals":
    loud = Loud()
elif case == "file":
    file = open(sys.argv[2], "w")
    file.write("kept")
elif case == "fork":
    if os.fork() == 0:
        print("child", flush=True)
        sys.exit(0)
    os.wait()
    print("parent")
elif case == "executor":
    print(ThreadPoolExecutor(2).submit(lambda: 7).result())
elif case == "wrapped":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print("through a wrapper")
elif case == "alarm":
    signal.setitimer(signal.ITIMER_REAL, 0.2)
elif case == "slow":
    import time
    time.sleep(0.5)
    print("slept")
elif case == "copied":
    os.dup(1)
    print("through one of two")
elif case == "moved":
    os.dup(1)
    os.dup2(2, 1)
    print("elsewhere")
elif case == "taken apart":
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="latin-1")
    print("through another object")
elif case == "reconfigured":
    sys.stdout.reconfigure(newline="\\r\\n", write_through=True)
    print("ended in another way")
elif case == "directory":
    kept = tempfile.TemporaryDirectory(dir=sys.argv[2])
    atexit.register(print, "registered")
else:
    print("describes")
"""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def what_imports_keep(interpreter, room):
    """What an installed module has got while it was imported belongs to one call."""
    packages = os.path.join(room, "site-packages")
    os.mkdir(packages)
    for name, text in INSTALLED.items():
        write(os.path.join(packages, name + ".py"), text)
    script, configuration = os.path.join(room, "cli.py"), os.path.join(room, "configuration")
    write(script, SCRIPT)
    write(configuration, "first")
    base = dict(environment(True), PYTHONPATH=packages, CONFIGURATION=configuration)
    with harness.Parent(interpreter, script, base) as parent:
        learned = parent.warm_up(harness.Call(["--describe"], base))
        names = {name for name, _, _ in learned["modules"]} - set(learned["left_out"])
        if "plain" not in names:
            yield "a module without state is not shared"
        with parent.lane() as lane:
            one = lane.run(harness.Call(["alice"], base)).stdout.split()
            write(configuration, "second")
            other = lane.run(harness.Call(["robin"], base)).stdout.split()
        if b"alice" in b" ".join(other):
            yield "shared memory of one call is read by another"
        if one[-2] == other[-2]:
            yield "two calls have drawn the same number"
        if other[-1] != b"second":
            yield "a file read at import stays as it was"


def what_reuse_leaves(interpreter, room):
    """A call in a process that had others before ends as one that had not."""
    script = os.path.join(room, "cli.py")
    write(script, REUSED)
    base = environment(True)
    cases = ["globals", "file", "fork", "executor", "wrapped", "other", "alarm", "slow", "copied", "moved", "reconfigured"]
    cases += ["taken apart", "other", "directory", "other", "directory"]
    with harness.Parent(interpreter, script, base) as parent:
        parent.warm_up(harness.Call(["--describe"], base))
        with parent.lane() as lane:
            for case in cases:
                found = []
                for run in (lambda call: harness.cold(interpreter, script, call), lane.run):
                    place = tempfile.mkdtemp(dir=room)
                    argument = os.path.join(place, "file") if case == "file" else place
                    result = run(harness.Call([case, argument], base, reuse=True))
                    texts = []
                    for name in os.listdir(place):
                        with open(os.path.join(place, name)) as file:
                            texts.append(file.read())
                    found.append((result.status, result.stdout, result.stderr, texts))
                if found[0] != found[1]:
                    yield "%s: executed %r, reused %r" % (case, found[0], found[1])


def main():
    lead_session()
    failed = False
    for interpreter in sys.argv[1:] or interpreters():
        for claims in (what_imports_keep, what_reuse_leaves):
            with tempfile.TemporaryDirectory() as room:
                for fault in claims(interpreter, room):
                    failed = True
                    print("%s: %s" % (interpreter, fault))
    sys.exit(failed)


if __name__ == "__main__":
    main()
