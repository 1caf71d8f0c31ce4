"""Claims about what two calls of one plugin must not have in common, by each interpreter that is named.

Plays the server's part, as `sameness.py` does. Prints each claim that is not true, and ends with status 1 then.
"""

import os
import sys
import tempfile

import harness
from sameness import environment, interpreters, lead_session

ZONE = "/usr/share/zoneinfo/UTC"
INSTALLED = {
    "plain": "VALUE = 1\ndef patch():\n    global VALUE\n    VALUE = 2\n",
    "late": "import plain\nSEEN = plain.VALUE\n",
    "memory": "import mmap\nBUFFER = mmap.mmap(-1, 64)\n",
    "drawn": "import random\nTOKEN = random.getrandbits(64)\n",
    "told": "import os\nwith open(os.environ['CONFIGURATION']) as file:\n    TEXT = file.read()\n",
    "dependent": "import told\n",
    "zoned": "import os\nif os.path.exists(%r):\n    open(%r, 'rb').close()\n" % (ZONE, ZONE),
}
SCRIPT = """
import sys, tempfile
import plain, memory, drawn, told, dependent, zoned
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
    # Longer than this program takes to end, on a busy machine too; the next one is still there then.
    signal.setitimer(signal.ITIMER_REAL, 2)
elif case == "slow":
    import time
    time.sleep(2.5)
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

# What the plugin's own code does before `import late`, and whether every call may have that module from before.
BEFORE = {
    "import os": True,
    "import os.path\nfrom pathlib import Path\nHERE = Path(__file__).resolve().parent / 'x'\nNAME: str = os.path.join('a', 'b')": True,
    "import re, logging\nlog = logging.getLogger(__name__)\nWORD = re.compile('a')\nFLAGS = {'a': [1, -2]}, f'{WORD}'": True,
    "import dataclasses\n@dataclasses.dataclass(order=True)\nclass A:\n    x: int = 1\n    def f(self):\n        return print()": True,
    "try:\n    import missing\nexcept ImportError:\n    missing = None": True,
    "try:\n    import plain\nexcept ImportError:\n    print('needs plain')\n    raise SystemExit(1)": True,
    "import sys\nif sys.version_info < (3, 6):\n    sys.exit('too old')": True,
    "import own_definitions": True,
    "from own_package import inner": True,
    "import decimal\ndecimal.getcontext().prec = 50": False,
    "import sys\nsys.setrecursionlimit(5000)": False,
    "import json\njson.dumps = str": False,
    "import json\nvars(json)['dumps'] = str": False,
    "import plain\nplain.patch()": False,
    "import plain\nDONE = plain.patch()": False,
    "import plain\ndef f():\n    return plain.patch()\nDONE = [f()]": False,
    "import plain\ndef f(function):\n    return plain.patch()\n@f\ndef g():\n    pass": False,
    "import plain\ndef f(done=plain.patch()):\n    pass": False,
    "import plain\nclass A:\n    done = plain.patch()": False,
    "import plain\nif plain.patch():\n    pass": False,
    "import plain\nfor _ in range(1):\n    plain.patch()": False,
    "import plain\ntry:\n    plain.patch()\nexcept ValueError:\n    pass": False,
    "import plain\ntry:\n    if True:\n        plain.patch()\n        raise ValueError\nexcept ValueError:\n    pass": False,
    "import own_patching": False,
    "from own_package import patching": False,
    "try:\n    import own_failing\nexcept ImportError:\n    pass": False,
    "exec('import plain; plain.patch()')": False,
    "import plain\nplain.patch(); import late as early": False,
}
OWN = {
    "own_definitions": "import os\nA = os.sep\ndef f():\n    os.chdir('/')\n",
    "own_package/__init__": "",
    "own_package/inner": "B = 1\n",
    "own_package/patching": "import plain\nplain.patch()\n",
    "own_patching": "from own_package import patching\n",
    "own_failing": "import plain\nplain.patch()\nraise ImportError\n",
}

# What an installed module does in `MINE = …`, and whether that is the same in each process.
VALUES = {
    "(1, 2.5, float('nan'), 'text', b'bytes', None, {'a': [1, {2, 'three'}]}, complex(0, float('nan')))": True,
    "object(), id(object()), repr(object()), {id(int): 1}, type('A', (), {}), lambda: 0": True,
    "len, os.environ, os, sys.modules, threading.current_thread(), logging.getLogger('a'), threading.Lock()": True,
    "re.compile('a'), datetime.date(2024, 1, 1), pathlib.Path('/a'), decimal.Decimal('1.5'), uuid.UUID(int=5)": True,
    "list({'a', 'b', 'c'}), {Holder, Slotted, object(), (Holder(1), 2), Holder(2)}, list({Holder, int, str})": True,
    "{('deep', (ssl.RAND_bytes(16),))}": False,
    "hash('a')": True,
    "ssl.RAND_bytes(16)": False,
    "{'deep': [(ssl.RAND_bytes(16).hex(), 1)]}": False,
    "Holder(ssl.RAND_bytes(16))": False,
    "Slotted(ssl.RAND_bytes(16))": False,
    "(lambda secret: lambda: secret)(ssl.RAND_bytes(16))": False,
    "lambda secret=ssl.RAND_bytes(16): secret": False,
    "functools.partial(print, ssl.RAND_bytes(16))": False,
    "type('A', (), {'secret': ssl.RAND_bytes(16), '__module__': __name__})": False,
    "frozenset([ssl.RAND_bytes(16)])": False,
    "int.from_bytes(ssl.RAND_bytes(32), 'big')": False,
    "uuid.UUID(bytes=ssl.RAND_bytes(16))": False,
    "random.Random(ssl.RAND_bytes(8))": False,
    "datetime.datetime.now()": False,
    "datetime.date.today()": False,
    "datetime.datetime.now().strftime('%Y')": False,
    "type('Day', (datetime.date,), {}).today()": False,
    "time.localtime()": False,
    "time.strftime('%m')": False,
    "time.strftime('%Y', time.gmtime(86400)), time.gmtime": True,
    "Holder(time.localtime().tm_min)": False,
    "time.clock_gettime(time.CLOCK_MONOTONIC)": False,
    "threading.get_native_id()": False,
    "os.readlink('/proc/self')": False,
    "open('/proc/sys/kernel/random/uuid').read()": False,
    "list(map(str, inspect.stack()))": False,
    "sys.argv[0], os.path.basename(sys.argv[0])": True,
    "'--debug' in sys.argv": False,
    "sys.argv[1:]": False,
    "len(sys.argv) > 1": False,
    "list(sys.argv), *sys.argv": False,
    "sys.argv == []": False,
    "sys.argv": False,
    "argparse.ArgumentParser().parse_known_args()[0]": False,
    "hasattr(sys.modules['__main__'], '__file__')": False,
    "getattr(__import__('__main__'), '__spec__', None)": False,
    "len(vars(sys.modules['__main__']))": False,
    "sys.modules['__main__']": False,
    "inspect.getmodule(Holder).__name__": True,
}
# What an installed module asks for when it is imported; whether it is shared, and whether the path is watched.
ASKED = {
    "os.path.exists(ROOM + 'missing')": (True, True),
    "os.path.isfile(ROOM + 'missing')": (True, True),
    "os.access(ROOM + 'missing', os.R_OK)": (True, True),
    "pathlib.Path(ROOM + 'missing').exists()": (True, True),
    "pathlib.Path(ROOM + 'missing').is_dir()": (True, True),
    "os.path.lexists(ROOM + 'missing')": (True, True),
    "read(ROOM + 'missing')": (True, True),
    "os.path.isdir(ROOM + 'directory')": (True, False),
    "os.path.getmtime(ROOM + 'there')": (False, False),
    "pathlib.Path(ROOM + 'there').is_file()": (False, False),
    "read(ROOM + 'there')": (False, False),
    "os.listdir(ROOM + 'directory')": (False, False),
    "list(os.scandir(ROOM + 'directory'))": (False, False),
    "list(pathlib.Path(ROOM + 'directory').iterdir())": (False, False),
    "glob.glob(ROOM + 'directory/*')": (False, False),
    "read('/etc/passwd')": (True, True),
    "os.path.exists('/etc/passwd')": (True, True),
    "os.path.exists('/proc/self')": (True, False),
    "os.stat in os.supports_follow_symlinks": (True, False),
}
ASKING = """
import glob, os, pathlib
def read(name):
    try:
        with open(name) as file:
            return file.read()
    except OSError:
        return None
ROOM = %r
FOUND = str(%s)
"""
HOLDING = """
import argparse, datetime, decimal, functools, inspect, logging, os, pathlib, random, re, ssl, sys, threading, time, uuid
class Holder:
    def __init__(self, value):
        self.value = value
        self.itself = self
class Slotted:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value
MINE = %s
"""


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def what_imports_keep(interpreter, room):
    """What an installed module has got while it was imported belongs to one call."""
    packages = install(room)
    script, configuration = os.path.join(room, "cli.py"), os.path.join(room, "configuration")
    write(script, SCRIPT)
    write(configuration, "first")
    base = dict(environment(True), PYTHONPATH=packages, CONFIGURATION=configuration)
    with harness.Parent(interpreter, script, base) as parent:
        learned = parent.warm_up(harness.Call(["--describe"], base))
        names = {name for name, _, _ in learned["modules"]} - set(learned["left_out"])
        for name, what in (("plain", "without state"), ("zoned", "that reads a time zone")):
            if name not in names:
                yield "a module %s is not shared" % what
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


def what_comes_first(interpreter, room):
    """What the plugin's code has done before an import is done when that module is imported."""
    packages = install(room)
    for name, text in OWN.items():
        path = os.path.join(room, name + ".py")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write(path, text)
    script = os.path.join(room, "cli.py")
    base = dict(environment(True), PYTHONPATH=packages)
    for before, expected in BEFORE.items():
        places = {"import late": expected}
        if before == "import os":
            places["def main():\n    import late\nmain()"] = False
        for place, is_shared in places.items():
            write(script, before + "\n" + place + "\n")
            with harness.Parent(interpreter, script, base) as parent:
                _, modules = parent.learn(harness.Call(["--describe"], base))
            if ("late" in [module[0] for module in modules]) != is_shared:
                yield "%r, %r: it is %s shared" % (before, place, "not" if is_shared else "")
    write(script, "import plain, argparse\nplain.patch()\nargparse.ArgumentParser().print_help()\n")
    with harness.Parent(interpreter, script, base) as parent:
        _, modules = parent.learn(harness.Call(["--describe"], base))
    if "gettext" not in [module[0] for module in modules]:
        yield "what argparse imports when it is used is not shared"


def what_values_say(interpreter, room):
    """A module that holds something of one process is imported by each call, whoever has made that value, and so is
    what imports it; what is the same in each process is shared."""
    packages = install(room)
    # One after the other, since each that is not shared costs a process.
    for number, (value, expected) in enumerate(VALUES.items()):
        write(os.path.join(packages, "value%d.py" % number), HOLDING % value)
    write(os.path.join(packages, "importer.py"), "from value%d import MINE\n" % list(VALUES).index("ssl.RAND_bytes(16)"))
    script = os.path.join(room, "cli.py")
    write(script, "".join("import value%d\n" % number for number in range(len(VALUES))) + "import importer\n")
    base = dict(environment(True), PYTHONPATH=packages)
    with harness.Parent(interpreter, script, base) as parent:
        learned = parent.warm_up(harness.Call(["--describe"], base))
    names = {module[0] for module in learned["modules"]} - set(learned["left_out"])
    for number, (value, expected) in enumerate(VALUES.items()):
        if ("value%d" % number in names) != expected:
            why = learned["left_out"].get("value%d" % number, learned["spoiled"].get("value%d" % number))
            yield "%s is %s shared: %s" % (value, "not" if expected else "", why)
    if "importer" in names:
        yield "what imports a value of one process is shared"


def what_is_asked_for(interpreter, room):
    """What a module has found, it would find in all calls: the path is watched, or the module is not shared."""
    packages = install(room)
    # Beside the plugin, as the user's own files are.
    place = os.path.join(room, "user", "")
    os.makedirs(os.path.join(place, "directory"))
    write(os.path.join(place, "there"), "")
    os.mkdir(os.path.join(room, "plugin"))
    script = os.path.join(room, "plugin", "cli.py")
    base = dict(environment(True), PYTHONPATH=packages)
    for number, expression in enumerate(ASKED):
        text = ASKING % (place, expression.replace("missing", "missing%d" % number))
        write(os.path.join(packages, "asking%d.py" % number), text)
    write(script, "import glob, os, pathlib\n" + "".join("import asking%d\n" % number for number in range(len(ASKED))))
    with harness.Parent(interpreter, script, base) as parent:
        _, modules = parent.learn(harness.Call(["--describe"], base))
    shared = {name for name, _, _ in modules}
    watched = {path for name, path, _ in modules if name is None}
    for number, (expression, expected) in enumerate(ASKED.items()):
        path = "/etc/passwd" if "passwd" in expression else place + "missing%d" % number
        found = ("asking%d" % number in shared, path in watched)
        if found != expected:
            yield "%s: shared and watched %s, not %s: %s" % (expression, found, expected, watched)


def install(room):
    """The directory of the modules that are installed."""
    packages = os.path.join(room, "site-packages")
    os.mkdir(packages)
    for name, text in INSTALLED.items():
        write(os.path.join(packages, name + ".py"), text)
    return packages


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
        for claims in (what_imports_keep, what_comes_first, what_values_say, what_is_asked_for, what_reuse_leaves):
            with tempfile.TemporaryDirectory() as room:
                for fault in claims(interpreter, room):
                    failed = True
                    print("%s: %s" % (interpreter, fault))
    sys.exit(failed)


if __name__ == "__main__":
    main()
