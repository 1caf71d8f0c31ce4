#!/usr/bin/env python3
"""Ends in every way in which a program can end."""
import os
import signal
import sys
import threading


class Own(SystemExit):
    """One of the program's own."""


class Coded(SystemExit):
    code = 7


def case_return():
    print("at the end")


def case_exit_without():
    sys.exit()


def case_exit_zero():
    sys.exit(0)


def case_exit_three():
    print("unfinished", end="")
    sys.exit(3)


def case_exit_255():
    sys.exit(255)


def case_exit_256():
    sys.exit(256)


def case_exit_300():
    sys.exit(300)


def case_exit_negative():
    sys.exit(-1)


def case_exit_large():
    sys.exit(2**40 + 5)


def case_exit_huge():
    sys.exit(2**80)


def case_exit_bool():
    sys.exit(True)


def case_exit_false():
    sys.exit(False)


def case_exit_words():
    sys.exit("cannot go on: ä")


def case_exit_empty_words():
    sys.exit("")


def case_exit_tuple():
    sys.exit((1, 2))


def case_exit_float():
    sys.exit(2.0)


def case_exit_object():
    sys.exit(Own(4))


def case_raise_class():
    raise SystemExit


def case_raise_five():
    raise SystemExit(5)


def case_raise_subclass():
    raise Own(6)


def case_raise_coded():
    raise Coded


def case_raise_coded_zero():
    raise Coded(0)


def case_raise_two_words():
    raise SystemExit(1, 2)


def case_raise_changed():
    left = SystemExit(1)
    left.code = 9
    raise left


def case_exit_in_finally():
    try:
        sys.exit(3)
    finally:
        print("finally")


def case_exit_again():
    try:
        sys.exit(3)
    except SystemExit as left:
        print(left.code, repr(left))
        sys.exit(left.code + 1)


def case_exit_while_handling():
    try:
        raise ValueError("first")
    except ValueError:
        sys.exit(11)


def case_builtin_exit():
    exit(12)


def case_builtin_quit():
    quit()


def case_exit_without_file():
    del globals()["__file__"]
    sys.exit(13)


def case_uncaught():
    raise ValueError("words", 1)


def case_uncaught_chain():
    try:
        {}["missing"]
    except KeyError as cause:
        raise RuntimeError("second") from cause


def case_uncaught_base():
    raise BaseException("base")


def case_uncaught_unprintable():
    class Unprintable(Exception):
        def __str__(self):
            raise ValueError

    raise Unprintable


def case_uncaught_group():
    raise globals()["__builtins__"].__dict__.get("ExceptionGroup", lambda text, _: ValueError(text))("two", [OSError("a")])


def case_keyboard_interrupt():
    raise KeyboardInterrupt


def case_sigint():
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(60)


def case_os_exit():
    print("unflushed", end="")
    os._exit(4)


def case_abort():
    print("unflushed", end="")
    os.abort()


def case_killed():
    os.kill(os.getpid(), signal.SIGKILL)


def case_terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(60)


def case_segfault():
    os.kill(os.getpid(), signal.SIGSEGV)


def case_broken_pipe():
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    print("nobody reads this")
    sys.exit(0)


def case_broken_pipe_at_end():
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    sys.stdout.write("nobody reads this")


def case_closed_stdout():
    sys.stdout.close()


def case_closed_descriptor():
    print("lost", end="")
    os.close(1)


def case_stdout_none():
    sys.stdout = None
    print("nowhere")
    sys.exit(2)


def case_stderr_none():
    sys.stderr = None
    sys.exit("nowhere")


def case_hook():
    sys.excepthook = lambda kind, value, trace: print("hook", kind.__name__, value)
    raise ValueError("words")


def case_hook_fails():
    def hook(kind, value, trace):
        raise TypeError("hook")

    sys.excepthook = hook
    raise ValueError("words")


def case_hook_exits():
    sys.excepthook = lambda *_: sys.exit(8)
    raise ValueError("words")


def case_prompts_and_uncaught():
    sys.ps1, sys.ps2 = ">>> ", "... "
    sys.exit(5)


def case_thread_exits():
    thread = threading.Thread(target=sys.exit, args=(9,))
    thread.start()
    thread.join()


def case_recursion():
    def deeper(level):
        return deeper(level + 1)

    deeper(0)


def case_exec_other():
    sys.stdout.flush()
    os.execvp("sh", ["sh", "-c", "echo other; exit 5"])


def case_fork_and_return():
    pid = os.fork()
    if pid:
        print("status", os.waitpid(pid, 0)[1])
    else:
        print("child")


def case_fork_and_exit():
    pid = os.fork()
    if pid:
        print("status", os.waitpid(pid, 0)[1])
        sys.exit(1)
    sys.exit(2)


def case_fork_and_fail():
    if os.fork() == 0:
        raise ValueError("in the child")
    print("status", os.wait()[1])


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
