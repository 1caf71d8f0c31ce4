#!/usr/bin/env python3
"""Shows how the interpreter is set."""
import gc
import locale
import sys
import time
import warnings


def case_flags():
    print(sys.flags)


def case_options():
    print(sys.warnoptions, sys._xoptions, sys.dont_write_bytecode, sys.pycache_prefix, sys.version, sys.byteorder, sys.platform, sys.hash_info)


def case_warnings():
    print(warnings.filters, warnings.defaultaction if hasattr(warnings, "defaultaction") else "", warnings.showwarning.__name__)


def case_locale():
    print(locale.getlocale(), locale.setlocale(locale.LC_ALL, None), locale.getpreferredencoding(False), locale.localeconv()["decimal_point"])


def case_encodings():
    print(sys.getdefaultencoding(), sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def case_collector():
    print(gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.garbage, gc.callbacks)


def case_collector_frozen():
    print(gc.get_freeze_count())


def case_collector_objects():
    print(any(thing is vars(locale) for thing in gc.get_objects()))


def case_limits():
    print(sys.getrecursionlimit(), sys.getswitchinterval(), getattr(sys, "get_int_max_str_digits", int)(), sys.thread_info, sys.float_info.max)


def case_sys_names():
    print(sorted(dir(sys)))


def case_zone():
    print(time.tzname, time.timezone, time.strftime("%H:%M", time.localtime(0)))


def case_clocks():
    print(time.process_time() < 5, time.thread_time() < 5, abs(time.time() - time.time()) < 5)


def case_builtins():
    print(sorted(dir(__builtins__)))


def case_type_of_exit():
    print(type(sys.exit), type(exit), sys.excepthook, sys.displayhook, sys.unraisablehook, sys.breakpointhook)


def case_trace_functions():
    import tracemalloc

    print(tracemalloc.is_tracing(), sys.gettrace(), sys.getprofile())


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
