#!/usr/bin/env python3
"""Looks at what modules of Python keep, and changes it."""
import abc
import collections.abc
import copyreg
import decimal
import enum
import fnmatch
import fractions
import functools
import json
import linecache
import locale
import mimetypes
import re
import string
import struct
import sys
import typing
import uuid
import warnings
import weakref


def case_decimal():
    print(decimal.getcontext(), decimal.DefaultContext.prec)
    decimal.getcontext().prec = 5
    print(decimal.Decimal(1) / 3)


def case_patterns():
    print(re.compile("(a|b)+x{2}").pattern, re.sub(r"\d+", "n", "a1b22"), re.purge())
    print(len(getattr(re, "_cache", ())))


def case_cache_of_patterns():
    print(len(re._cache) < 500, re.compile("own") is re.compile("own"))


def case_registered_class():
    class Mine:
        pass

    print(issubclass(Mine, collections.abc.Sized), isinstance(Mine(), collections.abc.Hashable))
    collections.abc.Sized.register(Mine)
    print(issubclass(Mine, collections.abc.Sized), len(Mine.__subclasses__()))


def case_subclasses():
    class Base(abc.ABC):
        pass

    class Derived(Base):
        pass

    print(Base.__subclasses__(), [kind.__name__ for kind in json.JSONEncoder.__subclasses__()])
    print(sorted(kind.__module__ for kind in Exception.__subclasses__() if kind.__module__ == "__main__"))


def case_warned_once():
    for _ in range(3):
        warnings.warn("only once")
    print(len(globals().get("__warningregistry__", ())))


def case_registries():
    found = [name for name, module in sorted(sys.modules.items()) if "__warningregistry__" in getattr(module, "__dict__", {})]
    print(found, sorted(map(str, copyreg.dispatch_table))[:3], len(weakref.WeakSet()), linecache.cache)


def case_types_of_files():
    print(mimetypes.inited, mimetypes.guess_type("a.json"), mimetypes.inited)


def case_unique():
    print(uuid.uuid3(uuid.NAMESPACE_DNS, "a"), uuid.getnode() == uuid.getnode(), uuid._node is not None)


def case_unique_before():
    print(uuid._node, uuid._last_timestamp)


def case_interned():
    one, other = "".join(["wo", "rds"]), "".join(["wo", "rds"])
    print(one is other, sys.intern(one) is sys.intern(other))


def case_patched_library():
    json.dumps = lambda *_: "patched"
    string.ascii_letters = "a"
    print(json.dumps([1]), string.ascii_letters)


def case_patched_encoder():
    json.JSONEncoder.default = lambda self, value: str(value)
    print(json.dumps({"a": fractions.Fraction(1, 3)}))


def case_not_patched():
    print(json.dumps([1]), string.ascii_letters, decimal.getcontext().prec, locale.getlocale()[1])
    json.dumps(fractions.Fraction(1, 3))


def case_cached_functions():
    @functools.lru_cache(None)
    def square(number):
        return number * number

    print(square(3), square(3), square.cache_info())


def case_cache_of_library():
    print(fnmatch.filter(["a.py", "b"], "*.py"), fnmatch._compile_pattern.cache_info().currsize <= 20)


def case_enumeration():
    class Colour(enum.Flag):
        RED = enum.auto()
        BLUE = enum.auto()

    print(Colour.RED | Colour.BLUE, list(Colour), re.RegexFlag(6))


def case_typing():
    print(typing.List[int] is typing.List[int], typing.Optional[str], typing.get_type_hints(typing.NamedTuple("P", [("x", int)])))


def case_dispatched():
    @functools.singledispatch
    def show(value):
        return "other"

    show.register(int, lambda value: "a number")
    print(show(1), show("x"), json.dumps({1: None, "b": [1.5, float("nan")]}, indent=1))


def case_packed():
    print(struct.pack("<IH", 1, 2), struct.calcsize("P"))


def case_finalized_registry():
    print(len(weakref.finalize._registry))


def case_counters():
    import itertools
    import threading

    print(threading.Thread().name, next(itertools.count()), threading._counter if isinstance(getattr(threading, "_counter", None), int) else "")


def case_memo_of_copies():
    import copy

    print(copy.deepcopy({"a": [1]}), len(copy._deepcopy_dispatch), sorted(kind.__module__ for kind in copy._deepcopy_dispatch)[-1])


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
