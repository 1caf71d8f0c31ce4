"""Imports into the warm parent what was learned, and finds out whether that is safe to share.

A module that does, while it is imported, what all forks would inherit and no fresh process has, spoils the parent:
the server ends it and begins again without that module.
"""

import _thread
import marshal
import os
import sys

from zygote_moment import move_calendar, watch_momentary
from zygote_places import READ_BY_LIBRARIES, is_installed, origin_of, with_parents
from zygote_program import Program
from zygote_values import Values

# The state of the generator that all forks would go on from, though not with the same numbers: it is seeded anew in
# each. Who draws numbers while it is imported keeps them.
NUMBERS = "the random numbers"


# How often it is tried with fewer modules before this process is given up.
MAX_REHEARSALS = 8


ANOTHER_VALUE = "holds a value that is another one in each process"


class Spoiled(Exception):
    """The module of this name has done this while it was imported."""


class Loader:
    """Imports modules one after the other, and looks at the process after each."""

    def __init__(self, locale):
        self.locale = locale
        self.read = set()
        self.left_out = {}
        self.loaded = 0
        self.digests = None  # module: the number of its values in another process
        self.compared = 0

    def load(self, modules):
        """Imports `modules`: names, their origins and what they import. Two forks do it first, so that this process is
        not spoilt by what turns out to be unsafe, and to tell which values are another one in each process."""
        # What has no name is a path that the server watches.
        modules = [module for module in modules if module[0] is not None]
        for _ in range(MAX_REHEARSALS):
            modules = self.complete(modules)
            rehearsals = [Rehearsal(self, modules, is_later) for is_later in (False, True)]
            (self.digests, spoiled), (others, more) = [rehearsal.result() for rehearsal in rehearsals]
            spoiled.update(more)
            for name, digest in self.digests.items():
                if others.get(name) != digest or digest is None:
                    spoiled.setdefault(name, ANOTHER_VALUE)
            if not spoiled:
                return self.load_all(modules)
            self.left_out.update(spoiled)
            modules = [module for module in modules if spoiled.keys().isdisjoint(with_parents(module[0]))]
        raise Spoiled(*spoiled.popitem())

    def load_all(self, modules, spoiled=None):
        """Raises `Spoiled` at the first module that must not be shared; or notes it and why, and goes on."""
        expected = self.expected = {name: origin or "" for name, origin, _ in modules}
        state = self.look()
        with Values() as self.values:
            for name, origin, _ in modules:
                if name in sys.modules:
                    continue
                try:
                    self.load_one(name, origin or "", expected, state)
                except Spoiled as fault:
                    if spoiled is None:
                        raise
                    spoiled[fault.args[0]] = fault.args[1]
                    state = self.look()

    def load_one(self, name, origin, expected, state):
        before = dict(sys.modules)
        self.import_one(name, origin)
        objects = set(map(id, before.values()))
        for other, module in list(sys.modules.items()):
            if other in before:
                continue
            if other not in expected:
                # An alias that a module has made of another, such as `os.path`, has an entry without an import.
                known = origin_of(module) in expected.values() or origin_of(module) == ""
                if not known and id(module) not in objects:
                    raise Spoiled(name, "imports %s here, and did not when it was learned" % other)
            elif expected[other] != origin_of(module):
                raise Spoiled(name, "finds %s at %s" % (other, origin_of(module)))
        now = self.look()
        for what, old in state.items():
            if what == NUMBERS and old is None:
                state[what] = now[what]
            elif now[what] != old:
                raise Spoiled(name, "changes " + what)
        for other, digest in list(self.values.digests.items())[self.compared :]:
            if other in expected and self.digests is not None and self.digests.get(other) != digest:
                raise Spoiled(other, ANOTHER_VALUE)
        self.compared = len(self.values.digests)
        self.loaded += 1

    def complete(self, modules):
        """Those of the modules that import nothing that is neither here nor among them."""
        while True:
            known = {name for name, _, _ in modules}.union(sys.modules)
            whole = []
            for module in modules:
                missing = [name for name in module[2] if name not in known]
                if missing:
                    self.left_out[module[0]] = "imports %s, which cannot be shared" % missing[0]
                else:
                    whole.append(module)
            if len(whole) == len(modules):
                return whole
            modules = whole

    def import_one(self, name, origin):
        momentary = {}
        watch = watch_momentary(momentary) if is_installed(origin) else None
        variables = os.environ._data
        reading = Reading(variables)
        reading.names = set()
        os.environ._data = os.environb._data = reading
        program = Program(momentary.setdefault)
        try:
            with program:
                sys.setprofile(watch)
                __import__(name)
                sys.setprofile(None)
        except BaseException as fault:
            sys.setprofile(None)
            raise Spoiled(name, "cannot be imported by itself: %s" % type(fault).__name__)
        finally:
            sys.setprofile(None)
            os.environ._data = os.environb._data = variables
        if reading != variables:
            raise Spoiled(name, "changes the environment")
        if reading.is_copied:
            raise Spoiled(name, "reads the whole environment")
        for what in program.kept:
            momentary.setdefault(name, "keeps " + what)
        for culprit, act in momentary.items():
            # The server goes on without it, so it must be one of those that it knows.
            raise Spoiled(culprit if culprit in self.expected else name, act)
        self.read |= reading.names

    def look(self):
        """What forks inherit from this process, and no module may leave changed."""
        signal = sys.modules["_signal"]
        mask = os.umask(0o77)
        os.umask(mask)
        with open("/proc/self/limits", "rb") as file:
            limits = file.read()
        try:
            children = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            children = None
        return {
            "its threads": (_thread._count(), count_tasks()),
            "its open files": open_files(),
            "its children": children,
            "the umask": mask,
            "the directory": os.getcwd(),
            "the signal handlers": [signal.getsignal(number) for number in range(1, signal.NSIG)],
            "the limits": limits,
            "the locale": self.locale.setlocale(self.locale.LC_ALL, None),
            "the standard streams": (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__),
            "a hook of sys": (sys.excepthook, sys.displayhook, sys.unraisablehook, sys.breakpointhook, sys.gettrace()),
            "the environment": dict(os.environ),
            "the arguments": list(sys.argv),
            "the search path": list(sys.path),
            "its shared memory": shared_memory(),
            NUMBERS: random_state(),
        }

    def names(self):
        """The variables that were read: their value must not be another one in a call."""
        return [os.fsencode(name) for name in self.read]

    def starts(self):
        """How the names of those begin that a library may have read."""
        files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
        return tuple(READ_BY_LIBRARIES) if any(is_installed(file) for file in files) else ()


class Rehearsal:
    """A fork that imports the modules and ends."""

    def __init__(self, loader, modules, is_later):
        read, write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(read)
                spoiled = {}
                if is_later:
                    move_calendar(sys.modules["time"])
                loader.load_all(modules, spoiled)
                with os.fdopen(write, "wb") as file:
                    marshal.dump((loader.values.digests, spoiled), file)
            finally:
                os._exit(0)
        os.close(write)
        self.report = read

    def result(self):
        """The numbers of the modules' values, and which modules would have spoilt the process, and why."""
        with os.fdopen(self.report, "rb") as file:
            report = file.read()
        os.waitpid(self.pid, 0)
        if not report:
            raise RuntimeError("the process that tries the imports has ended")
        return marshal.loads(report)


class Reading(dict):
    """The variables of the environment; notes which are read."""

    is_copied = False

    def __getitem__(self, name):
        self.names.add(os.fsdecode(name))
        return dict.__getitem__(self, name)

    def __contains__(self, name):
        self.names.add(os.fsdecode(name))
        return dict.__contains__(self, name)

    def get(self, name, default=None):
        return self[name] if name in self else default

    def _copied(self, method):
        self.is_copied = True
        return method(self)

    def __iter__(self):
        return self._copied(dict.__iter__)

    def keys(self):
        return self._copied(dict.keys)

    def items(self):
        return self._copied(dict.items)

    def values(self):
        return self._copied(dict.values)

    def copy(self):
        return self._copied(dict.copy)


def count_tasks():
    """How many threads the system sees, but for those of a library that ends them before a fork and starts them again
    when they are needed, as OpenBLAS does."""
    if len(os.listdir("/proc/self/task")) > 1:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    return len(os.listdir("/proc/self/task"))


def shared_memory():
    """The writable memory that forks would share, and not copy."""
    with open("/proc/self/maps", "rb") as file:
        return [line for line in file if line[line.index(b" ") + 1 :][1:4:2] == b"ws"]


def random_state():
    """What the generator of the module `random` would give next; None where it is not loaded."""
    random = sys.modules.get("random")
    return getattr(random, "getstate", lambda: None)()


def open_files():
    """The numbers of the open descriptors and what they are."""
    files = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            files[number] = os.readlink("/proc/self/fd/" + number)
        except FileNotFoundError:
            # The one by which the directory was read.
            pass
    return files
