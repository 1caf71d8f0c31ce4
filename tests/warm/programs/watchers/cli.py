#!/usr/bin/env python3
"""Watches itself: traces, profiles, audits, dumps and debuggers."""
import bdb
import cProfile
import faulthandler
import io
import os
import pdb
import pstats
import sys
import threading
import trace
import tracemalloc


def work():
    total = 0
    for number in range(3):
        total += number
    return total


def case_traced_lines():
    seen = []

    def tracer(frame, event, argument):
        if frame.f_code is work.__code__:
            seen.append((event, frame.f_lineno - frame.f_code.co_firstlineno))
        return tracer

    sys.settrace(tracer)
    work()
    sys.settrace(None)
    print(seen)


def case_traced_to_the_end():
    def tracer(frame, event, argument):
        if "site-packages" not in frame.f_code.co_filename and frame.f_globals.get("__name__") == "__main__":
            os.write(1, ("%s %s\n" % (frame.f_code.co_name, event)).encode())

    sys.settrace(tracer)
    work()


def case_profiled_to_the_end():
    def profiler(frame, event, argument):
        if event == "c_call":
            os.write(1, ("%s\n" % argument.__name__).encode())

    print("before")
    sys.setprofile(profiler)
    len("a")


def case_traced_threads():
    seen = []
    threading.settrace(lambda frame, event, argument: seen.append(frame.f_code.co_name) if frame.f_code is work.__code__ else None)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    print(seen)


def case_monitored():
    if not hasattr(sys, "monitoring"):
        print("too old")
        return
    events = sys.monitoring
    print([events.get_tool(number) for number in range(6)])
    events.use_tool_id(3, "mine")
    events.register_callback(3, events.events.PY_START, lambda code, _: code is work.__code__ and print("start", code.co_name))
    events.set_events(3, events.events.PY_START)
    work()
    events.free_tool_id(3)


def case_audited():
    # With the first module that is searched for, the program's own directory is listed.
    import colorsys  # noqa: F401

    sys.addaudithook(lambda event, _: os.write(1, (event + "\n").encode()) if event.startswith(("open", "os.", "sub", "import")) else None)
    import html.entities  # noqa: F401

    open(os.devnull).close()
    os.listdir(".")


def case_audited_end():
    sys.addaudithook(lambda event, _: os.write(1, (event + "\n").encode()) if event.startswith("cpython") else None)


def case_counted():
    counter = trace.Trace(count=1, trace=0)
    counter.runfunc(work)
    print(sorted((os.path.basename(name), line) for (name, line) in counter.results().counts))


def case_profile():
    profile = cProfile.Profile()
    profile.runcall(work)
    text = io.StringIO()
    pstats.Stats(profile, stream=text).print_stats("work")
    print(text.getvalue().split("Ordered")[0])


def case_allocations():
    print(tracemalloc.is_tracing())
    tracemalloc.start(3)
    data = [bytes(1000) for _ in range(10)]
    print(tracemalloc.get_object_traceback(data) is not None, tracemalloc.get_traced_memory()[0] > 10000)
    tracemalloc.stop()


def case_dumped():
    faulthandler.dump_traceback(file=1, all_threads=False)


def case_dumped_later():
    faulthandler.dump_traceback_later(0.5, exit=True, file=sys.stdout)
    threading.Event().wait(30)


def case_dumped_on_signal():
    import signal

    faulthandler.register(signal.SIGUSR1, file=sys.stdout, all_threads=False)
    os.kill(os.getpid(), signal.SIGUSR1)


def case_fault():
    faulthandler.enable(file=sys.stdout, all_threads=False)
    faulthandler._sigabrt()


def case_debugged():
    commands = io.StringIO("step\nnext\nwhere\np number\ncontinue\n")
    debugger = pdb.Pdb(stdin=commands, stdout=sys.stdout, nosigint=True, readrc=False)
    debugger.use_rawinput = False
    debugger.runcall(work)


def case_break():
    class Counting(bdb.Bdb):
        lines = 0

        def user_line(self, frame):
            Counting.lines += 1

    Counting().runcall(work)
    print(Counting.lines)


def case_breakpoint_without_terminal():
    breakpoint()
    print("after")


def case_frames_of_threads():
    print(len(sys._current_frames()), sys.gettrace(), sys.getprofile(), sys.is_finalizing())


def case_unraisable():
    sys.unraisablehook = lambda found: print(found.exc_type.__name__, found.err_msg)

    class Bad:
        def __del__(self):
            raise ValueError

    Bad()
    globals()["later"] = Bad()


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
