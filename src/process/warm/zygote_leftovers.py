"""Whether a call has left something whose end can be seen: a thread, or an object that does something when it is freed.

What the warm parent had itself before the fork is the same in all calls and needs no look: `gc.freeze` has taken it out
of what the collector lists.
"""

import _thread
import _weakref
import gc
import sys

from zygote_places import is_standard, origin_of

# Modules of the standard library whose weak references call nothing of the script's.
OWN_CALLBACKS = frozenset(("weakref", "_weakrefset", "_py_abc", "abc", "functools", "typing", "enum", "logging"))
# Of the standard library: whose objects write to a file when they are freed, and have no `__del__` for it.
WRITERS = frozenset(("sqlite3", "_sqlite3", "_dbm", "_gdbm"))
# Packages whose native objects free memory, and do no more.
PLAIN_PACKAGES = frozenset(("numpy", "pandas", "pydantic_core", "lxml", "regex", "rpds"))

HEAP_TYPE, COLLECTED = 1 << 9, 1 << 14  # of `__flags__`
callback_of = _weakref.ref.__dict__["__callback__"].__get__


def all_types():
    """Every type that there is."""
    found, kinds = {}, [object]
    while kinds:
        kind = kinds.pop()
        if id(kind) not in found:
            found[id(kind)] = kind
            kinds.extend(type.__subclasses__(kind))
    return found


# The interpreter's own, before anything else was imported.
AT_START = frozenset(all_types())
DESCRIPTORS = (type(str.join), type(str.__len__), type(dict.__dict__["fromkeys"]))


def plain_types():
    """The types that are there now and whose objects free memory and do no more, by their identity."""
    return frozenset(number for number, kind in all_types().items() if not writes(kind))


def is_anything_left(plain):
    """Whether something is left. The types in `plain` were judged before."""
    if _thread._count() or is_out_of_sight(sys.modules):
        return True
    objects = gc.get_objects()
    references = set()
    for number, kind in {id(type(thing)): type(thing) for thing in objects}.items():
        for base in kind.__mro__:
            # A script can give this to a type of the parent's as well.
            if "__del__" in base.__dict__ or id(base) not in plain and writes(base):
                return True
            if base is _weakref.ref:
                references.add(number)
    if not references:
        return False
    return any(id(type(thing)) in references and not is_bookkeeping(callback_of(thing)) for thing in objects)


def writes(kind):
    """Whether an object of this very type may do more than free memory when it is freed, without a `__del__`. Only
    native code can; of code that is not known it has to be expected."""
    if id(kind) in AT_START or not is_native(kind):
        return False
    root = kind.__module__.partition(".")[0]
    if root in PLAIN_PACKAGES:
        return False
    origin = origin_of(sys.modules.get(root))
    return root in WRITERS or not (origin in ("built-in", "frozen") or origin and is_standard(origin))


def is_native(kind):
    """Whether a type is not made by a `class` statement: it has methods in native code."""
    if not kind.__flags__ & HEAP_TYPE:
        return True
    for value in kind.__dict__.values():
        if type(value) in DESCRIPTORS and value.__objclass__ is kind:
            return True
        if type(value) is type(len) and value.__self__ is kind:
            return True
    return False


def is_out_of_sight(modules):
    """Whether objects that write when they are freed may be there, and are none that the collector lists."""
    if "_dbm" in modules or "_gdbm" in modules:
        return True
    return "_sqlite3" in modules and not modules["_sqlite3"].Connection.__flags__ & COLLECTED


def is_bookkeeping(callback):
    """Whether the callback of a weak reference does nothing but forget it in a collection of the standard library."""
    if callback is None:
        return True
    if getattr(callback, "__module__", None) in OWN_CALLBACKS:
        # A finalizer was called before, or never will be; what a method's reference calls is the script's.
        return not getattr(callback, "__qualname__", "").startswith("WeakMethod.")
    # Of the module `_abc`, which remembers each class that `isinstance` was asked of, and names no module for it.
    if type(callback) is type(len) and callback.__name__ == "_destroy":
        return callback.__module__ is None and type(callback.__self__) is _weakref.ref
    return False
