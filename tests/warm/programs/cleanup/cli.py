#!/usr/bin/env python3
"""Leaves work for its end: functions, destructors, references and suspended generators."""
import atexit
import contextlib
import gc
import json
import logging
import os
import sys
import tempfile
import weakref


class Loud:
    def __init__(self, name, names=None):
        self.name = name

    def __del__(self):
        os.write(1, b"gone: %s\n" % self.name.encode())


def case_order():
    for number in range(3):
        atexit.register(print, "registered", number)
    print("end")


def case_fails():
    atexit.register(print, "still called")
    atexit.register(lambda: 1 / 0)


def case_exits():
    atexit.register(sys.exit, 4)


def case_unregistered():
    atexit.register(print, "never")
    atexit.unregister(print)


def case_count():
    print(atexit._ncallbacks())


def case_run_early():
    atexit.register(print, "early")
    atexit._run_exitfuncs()
    print("then")


def case_cleared():
    atexit.register(print, "never")
    atexit._clear()


def case_registers_another():
    atexit.register(lambda: atexit.register(print, "second"))


def case_after_failure():
    atexit.register(print, "after the traceback")
    raise ValueError


def case_destructor():
    globals()["loud"] = Loud("global")


def case_destructors_in_order():
    for number in range(4):
        globals()["loud%d" % number] = Loud("global %d" % number)


def case_destructor_local():
    loud = Loud("local")
    print("end")


def case_destructor_on_exit():
    loud = Loud("local")
    sys.exit(3)


def case_destructor_in_library():
    json.kept = Loud("module attribute")


def case_destructor_in_class():
    json.JSONEncoder.kept = Loud("class attribute")


def case_destructor_in_container():
    logging.root.handlers.append(logging.NullHandler())
    logging.root.manager.loggerDict["kept"] = Loud("in a library's dictionary")


def case_destructor_in_sys():
    sys.kept = Loud("in sys")


def case_destructor_in_builtins():
    __builtins__.kept = Loud("in builtins")


def case_destructor_in_modules():
    sys.modules["kept"] = Loud("in sys.modules")


def case_destructor_in_cycle():
    loud = Loud("cycle")
    loud.self = loud


def case_destructor_in_closure():
    loud = Loud("closure")
    atexit.register(lambda: print(loud.name))


def case_destructor_uses_modules():
    class Late:
        def __del__(self):
            print("late", os is None, json is None, sys is None, json.dumps([1]))

    globals()["late"] = Late()


def case_destructor_uses_library_late():
    class Late:
        def __del__(self):
            print("late", json.dumps([1]) if json else json)

    json.kept = Late()


def case_destructor_fails():
    class Bad:
        def __del__(self):
            raise ValueError("in a destructor")

    globals()["bad"] = Bad()


def case_finalizing():
    class Late:
        def __del__(self, sys=sys):
            os.write(1, b"%d\n" % sys.is_finalizing())

    globals()["late"] = Late()
    json.late = Late()


def case_weak_callback():
    loud = Loud("referred")
    globals()["reference"] = weakref.ref(loud, lambda _: os.write(1, b"callback\n"))
    globals()["zloud"] = loud


def case_weak_callback_in_library():
    class Plain:
        pass

    json.kept = Plain()
    globals()["reference"] = weakref.ref(json.kept, lambda _, write=os.write: write(1, b"callback\n"))


def case_weak_subclass_in_library():
    class Plain:
        pass

    class Reference(weakref.ref):
        pass

    json.kept = Plain()
    os.reference = Reference(json.kept, lambda _, write=os.write: write(1, b"callback\n"))


def case_weak_method_in_library():
    class Plain:
        def method(self):
            pass

    json.kept = Plain()
    os.reference = weakref.WeakMethod(json.kept.method, lambda _, write=os.write: write(1, b"callback\n"))


def case_logging_to_stream():
    logging.basicConfig(stream=sys.stdout, level=10)
    logging.debug("words")
    json.kept = logging.root.handlers[0]


def case_abstract():
    import collections.abc

    class Plain:
        pass

    json.kept = Plain()
    print(isinstance(json.kept, collections.abc.Mapping), issubclass(Plain, collections.abc.Sized))


def case_finalize():
    loud = Loud("finalized")
    weakref.finalize(loud, print, "finalize")
    globals()["loud"] = loud


def case_generator():
    def numbers():
        try:
            yield 1
        finally:
            os.write(1, b"closed\n")

    globals()["left"] = numbers()
    next(left)


def case_context():
    @contextlib.contextmanager
    def context():
        try:
            yield
        finally:
            os.write(1, b"left\n")

    globals()["left"] = context()
    left.__enter__()


def case_temporary_directory():
    globals()["left"] = tempfile.TemporaryDirectory(dir=".")
    print(len(os.listdir(".")))
    atexit.register(lambda: print(len(os.listdir("."))))


def case_temporary_file():
    globals()["left"] = tempfile.NamedTemporaryFile(dir=".")


def case_resource_warning():
    import warnings

    warnings.simplefilter("always")
    globals()["left"] = open(os.devnull)


def case_logging():
    logging.basicConfig(stream=open("log.txt", "w"), level=10)
    logging.debug("flushed by the end")


def case_memory_handler():
    import logging.handlers

    handler = logging.handlers.MemoryHandler(100, target=logging.StreamHandler(sys.stdout))
    logging.root.addHandler(handler)
    logging.warning("kept until the end")


def case_gc_at_end():
    gc.callbacks.append(lambda phase, info: None)
    gc.set_debug(0)


def case_gc_disabled():
    gc.disable()
    loud = Loud("never collected before the end")
    loud.self = loud


def case_class_destructor():
    class Meta(type):
        def __del__(cls):
            os.write(1, b"class gone\n")

    globals()["Made"] = Meta("Made", (), {})


def case_database():
    import sqlite3

    connection = sqlite3.connect("data.db", isolation_level=None)
    connection.execute("create table t (x)")
    connection.execute("begin")
    connection.execute("insert into t values (1)")
    json.kept = connection


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
