"""How a call ends: as the interpreter ends it, without the work that nobody can see.

At its end an interpreter takes apart every module, then every type and every interned string. In a fork each of these
writes is a page to be copied, which makes it half of the cost of a short call, and nothing of it can be seen from
outside. So when the script has ended, its threads have been joined, its `atexit` functions have run and its output
has been written, what follows is cut short. That is done only where it is certain that it cannot be seen:

- no object of this call is left that has something to do when it dies (`__del__`, which all files have, or a weak
  reference with a callback of the script's), and
- no thread runs, and
- for an end at once: no extension module is loaded that could have something to write at exit, and the exit status is
  known.

In every other case the interpreter takes apart the whole of it, what was shared included.
"""

import _thread
import _weakref
import gc
import os
import sys

# Extension modules of the standard library whose objects have no effect when they die but to free memory, or are seen
# by their `__del__`. A database, a terminal or a foreign library is none of these.
HARMLESS = frozenset(
    """_abc _asyncio _bisect _blake2 _bz2 _codecs_cn _codecs_hk _codecs_iso2022 _codecs_jp _codecs_kr _codecs_tw
    _collections _contextvars _csv _datetime _decimal _elementtree _functools _hashlib _heapq _hmac _interpchannels
    _interpqueues _interpreters _json _locale _lsprof _lzma _md5 _multibytecodec _multiprocessing _opcode _operator
    _pickle _posixshmem _posixsubprocess _queue _random _scproxy _sha1 _sha2 _sha256 _sha3 _sha512 _socket _sre _ssl
    _stat _statistics _string _struct _suggestions _symtable _types _typing _uuid _zoneinfo _zstd array audioop
    binascii cmath fcntl grp itertools math mmap pyexpat pwd resource select spwd syslog termios unicodedata zlib
    """.split()
)
# Modules of the standard library whose weak references call nothing of the script's.
OWN_CALLBACKS = frozenset(("weakref", "_weakrefset", "_abc", "_py_abc", "abc", "functools", "typing", "enum"))
SUFFIXES = (".so", ".pyd")


class Ending:
    """What the end of a call needs to know. One for Z, and so for all its forks."""

    def __init__(self):
        self.keep = []
        self.status = None
        self.stack = sys._getframe

    def prepare(self):
        """To be called last, when Z holds all that it shares with its forks."""
        self.loaded = list(sys.modules)
        self.last = self.loaded[-1]
        self.known = frozenset(self.loaded)
        self.at_once = all(is_harmless(name) for name in self.loaded) and not has_options()
        if self.at_once:
            self.at_once = self.watch_exit()
        first = first_to_die()
        gc.collect()
        # A reference from here to everything, and one from here to here: nothing of it is ever freed in a fork.
        self.keep.append(self.keep)
        for thing in gc.get_objects():
            if thing is not first:
                self.keep.append(thing)
        if first is not None:
            self.keep.append(_weakref.ref(first, self.end))
        del first, thing
        gc.freeze()

    def watch_exit(self):
        """Learns the status of a script that ends by SystemExit, which the interpreter tells nobody.

        It reads the exception's `code` once, when no frame is left. The member is replaced by a property around it.
        Whether that works is tried out in a fork.
        """
        members = gc.get_referents(SystemExit.__dict__)[0]
        member = members["code"]

        def code(exception):
            value = member.__get__(exception)
            if self.stack().f_back is None:
                self.status = status_of(value)
            return value

        members["code"] = property(code, member.__set__, member.__delete__, member.__doc__)
        probe = SystemExit(7)
        probe.code = 9
        return SystemExit.code is members["code"] and probe.code == 9 and probe.args == (7,)

    def end(self, _):
        """Called by the interpreter when it begins to take apart its modules."""
        if not sys.is_finalizing():
            return
        try:
            if not is_anything_left(self):
                if self.at_once:
                    status = self.known_status()
                    if status is not None and self.new_modules_are_harmless():
                        sys.__stdout__.flush()
                        sys.__stderr__.flush()
                        os._exit(status)
                modules = sys.modules
                self.keep.append([modules.pop(name, None) for name in self.loaded if name not in KEPT])
                return
        except Exception:
            pass
        del self.keep[:]
        gc.unfreeze()

    def known_status(self):
        """The status with which the process will exit; None when that is not certain."""
        main = sys.modules["__main__"].__dict__
        if type(main.get("__loader__")).__name__ != "SourceFileLoader" or hasattr(sys, "last_type"):
            # The script could not be opened, or an exception was printed.
            return None
        # The interpreter removes `__file__` when the script has come to its end, and not when it has exited.
        if "__file__" in main:
            return self.status
        return 0 if self.status is None else None

    def new_modules_are_harmless(self):
        for name in reversed(sys.modules):
            if name == self.last:
                return True
            if name not in self.known and not is_harmless(name):
                return False
        return False


KEPT = frozenset(("sys", "builtins", "__main__"))


def status_of(code):
    """The exit status that the interpreter makes of the code of a SystemExit; None when it is not certain."""
    if code is None:
        return 0
    if isinstance(code, int):
        number = int.__index__(code)
        return number & 0xFF if -1 << 31 <= number < 1 << 31 else None
    return 1


def first_to_die():
    """A function to which only one attribute of `sys` leads, of those that are cleared before all modules."""
    hooks = sys.path_hooks
    if sys.getrefcount(hooks) <= 3:
        first = hooks[-1]
        if sys.getrefcount(first) <= 3 and type(first) is type(first_to_die):
            return first
    del hooks
    first = getattr(sys, "__interactivehook__", None)
    # Held by `sys`, by this name, and by the call that asks.
    if type(first) is type(first_to_die) and sys.getrefcount(first) <= 3:
        return first
    return None


def is_harmless(name):
    """Whether no module of this name has something to do at exit that is done in C."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if type(file) is str and file.endswith(SUFFIXES):
        return name in HARMLESS and is_standard(file)
    return name not in ("_ctypes", "readline", "_curses", "_tkinter", "_sqlite3", "_dbm", "_gdbm")


def is_standard(file):
    return "-packages" + os.sep not in file


def has_options():
    """Options of the interpreter under which its end can be seen."""
    return bool(sys.flags.verbose or sys.flags.inspect or sys.flags.interactive or sys._xoptions or sys.flags.debug) or bool(
        os.environ.keys() & {"PYTHONDUMPREFS", "PYTHONMALLOCSTATS", "PYTHONINSPECT", "PYTHONPROFILEIMPORTTIME"}
    )


def is_anything_left(_):
    """Whether something is left that can be seen when it ends: a thread, or an object of this call."""
    if _thread._count():
        return True
    objects = gc.get_objects()
    types = set(map(type, objects))
    for kind in types:
        for base in kind.__mro__:
            if "__del__" in base.__dict__:
                return True
    if _weakref.ref in types:
        for thing in objects:
            if type(thing) is _weakref.ref and thing.__callback__ is not None:
                if getattr(thing.__callback__, "__module__", None) not in OWN_CALLBACKS:
                    return True
    return False
