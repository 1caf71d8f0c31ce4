#!/usr/bin/env python3
"""Looks at its frames and its tracebacks."""
import inspect
import sys
import traceback
import warnings


def case_stack():
    for frame in inspect.stack():
        print(frame.filename, frame.lineno, frame.function, frame.code_context)


def case_bottom():
    frame = sys._getframe()
    while frame.f_back:
        frame = frame.f_back
    print(frame.f_code.co_name, frame.f_code.co_filename, frame.f_globals is globals(), frame.f_builtins is __builtins__.__dict__)


def case_format_stack():
    print("".join(traceback.format_stack()))


def case_print_exception():
    try:
        int("x")
    except ValueError:
        traceback.print_exc()


def case_deep():
    def deeper(level):
        if not level:
            raise LookupError("at the bottom")
        deeper(level - 1)

    deeper(30)


def case_in_exec():
    exec(compile("def f():\n    1 / 0\nf()", "made", "exec"))


def case_in_library():
    import json

    json.loads("{")


def case_in_beside():
    import beside

    beside.fail()


def case_syntax_beside():
    import broken


def case_depth():
    def deeper(level):
        try:
            return deeper(level + 1)
        except RecursionError:
            return level

    print(sys.getrecursionlimit(), deeper(0))


def case_warning():
    warnings.warn("words")
    warnings.warn("old", DeprecationWarning)
    warnings.warn("resource", ResourceWarning)


def case_current():
    print(sys.exc_info(), sys.gettrace(), sys.getprofile(), sys.getswitchinterval(), [name for name in dir(sys) if name.startswith("last_")])


def case_trace():
    seen = []

    def tracer(frame, event, argument):
        seen.append((frame.f_code.co_name, event))
        return tracer

    sys.settrace(tracer)
    len("a")
    (lambda: 1)()
    sys.settrace(None)
    print(seen)


def case_profile():
    import cProfile
    import pstats

    profile = cProfile.Profile()
    profile.runcall(sorted, [2, 1])
    print(pstats.Stats(profile).total_calls)


def case_exception_members():
    print(type(vars(SystemExit)["code"]).__name__, sorted(vars(SystemExit)))


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
