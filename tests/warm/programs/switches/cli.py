#!/usr/bin/env python3
"""Shows what the variables of the interpreter do to it."""
import asyncio
import faulthandler
import gc
import sys
import tracemalloc
import warnings


def case_flags():
    print(sys.flags, sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.pycache_prefix)


def case_filters():
    print(warnings.filters)


def case_warnings():
    warnings.warn("words")
    warnings.warn("old", DeprecationWarning)
    warnings.warn("old", PendingDeprecationWarning)
    warnings.warn("file", ResourceWarning)


def case_hash():
    print(hash("word"), list({"a", "b", "c", "d", "e"}))


def case_assertions():
    assert not sys.argv, "there are some"


def case_documented():
    print(case_documented.__doc__, __doc__)


def case_leaves_file():
    open("file", "w")


def case_developer():
    print(faulthandler.is_enabled(), tracemalloc.is_tracing(), sys.flags.dev_mode, asyncio.new_event_loop().get_debug())


def case_traced():
    data = bytearray(5000)
    trace = tracemalloc.get_object_traceback(data)
    print(trace and len(trace), tracemalloc.get_traceback_limit())


def case_breakpoint():
    breakpoint()
    print("on")


def case_limits():
    print(getattr(sys, "get_int_max_str_digits", int)())
    print(len(str(10**5000)))


def case_collector():
    print(gc.isenabled(), gc.get_threshold())


def case_path():
    print(sys.path, getattr(sys.flags, "safe_path", None), sys.prefix)


def case_killed_by_fault():
    sys.stdout.flush()
    faulthandler._sigsegv()


def case_aborted():
    import os

    os.abort()


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
