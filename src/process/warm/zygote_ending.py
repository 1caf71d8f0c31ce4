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

from zygote_status import REACH, Stack, end_with, ways

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
        self.stack = None

    def prepare(self):
        """To be called last, when Z holds all that it shares with its forks."""
        self.loaded = list(sys.modules)
        self.last = self.loaded[-1]
        self.known = frozenset(self.loaded)
        self.at_once = all(is_harmless(name) for name in self.loaded) and not has_options()
        self.instead = None
        first = first_to_die()
        gc.collect()
        # A reference from here to everything, and one from here to here: nothing of it is ever freed in a fork.
        self.keep.append(self.keep)
        for thing in gc.get_objects():
            # Neither what has to die first, nor the list that holds it.
            if thing is not first and thing is not sys.path_hooks:
                self.keep.append(thing)
        if first is not None:
            self.keep.append(_weakref.ref(first, self.end))
        del first, thing
        gc.freeze()

    def calibrate(self):
        """Learns from forks where the exit status is. True in a fork, which has to go on to the script at once."""
        try:
            stack = Stack()
            samples = []
            for way, code, status in ways():
                read, write = os.pipe()
                pid = os.fork()
                if pid == 0:
                    null = os.open(os.devnull, os.O_RDWR)
                    for number in (1, 2):
                        os.dup2(null, number)
                    self.instead = lambda: os.write(write, stack.read())
                    end_with(way, code)
                    return True
                os.close(write)
                with open(read, "rb") as file:
                    seen = file.read()
                os.waitpid(pid, 0)
                if len(seen) != REACH:
                    return False
                samples.append((status, seen))
            stack.find(samples)
            self.stack = stack
        except OSError:
            pass
        return False

    def end(self, _):
        """Called by the interpreter when it begins to take apart its modules."""
        if not sys.is_finalizing():
            return
        if self.instead is not None:
            self.instead()
            os._exit(0)
        try:
            if not is_anything_left():
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
        if self.stack is None or self.stack.place is None or was_exception_printed():
            return None
        status = self.stack.status()
        if status is not None:
            return status
        # The interpreter removes `__file__` when the script has come to its end. Where it could not even be opened,
        # the loader is still another one.
        main = sys.modules["__main__"].__dict__
        if "__file__" in main or type(main.get("__loader__")).__name__ != "SourceFileLoader":
            return None
        return 0

    def new_modules_are_harmless(self):
        for name in reversed(sys.modules):
            if name == self.last:
                return True
            if name not in self.known and not is_harmless(name):
                return False
        return False


def was_exception_printed():
    """Whether the interpreter has left the exception that ended the script in `sys.last_type` and its like."""
    names = list(sys.__dict__)
    left = [number for number, name in enumerate(names) if name.startswith("last_")]
    if not left or sys.version_info >= (3, 12):
        return bool(left)
    # By now all of these are None in any case. Those that had not been there before were made in this order.
    return names[left[0] - 2 : left[0]] != ["ps1", "ps2"] or "code" in sys.modules


KEPT = frozenset(("sys", "builtins", "__main__"))


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


def is_anything_left():
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
