#!/usr/bin/env python3
"""Writes to its outputs in every way, and leaves it to its end to finish that."""
import io
import os
import sys


def case_turns():
    for number in range(5):
        print("out", number)
        print("err", number, file=sys.stderr)


def case_unfinished_line():
    sys.stdout.write("no end")
    sys.stderr.write("no end")


def case_unflushed_then_raw():
    sys.stdout.write("first")
    os.write(1, b"second\n")


def case_big():
    for number in range(40000):
        print(number, "x" * 100)


def case_big_at_once():
    sys.stdout.write("y" * 3000000)


def case_binary():
    sys.stdout.buffer.write(bytes(range(256)) * 10)


def case_surrogates():
    print("\udcff" if sys.stdout.errors == "surrogateescape" else "ä€😀")


def case_encodings():
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        print(name, stream.name, stream.mode, stream.encoding, stream.errors, stream.line_buffering, stream.newlines)
        print(getattr(stream, "write_through", None), type(stream.buffer).__name__, type(getattr(stream.buffer, "raw", None)).__name__)
        print(stream is getattr(sys, "__%s__" % name), stream.fileno(), stream.isatty(), repr(stream))


def case_original_while_replaced():
    sys.stdout = io.StringIO()
    print("to nobody")
    sys.__stdout__.write("to the original")


def case_replaced_unflushed():
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "wb", closefd=False)))
    print("through another object")


def case_replaced_by_class():
    class Loud:
        def write(self, text):
            os.write(1, text.upper().encode())

        def flush(self):
            os.write(1, b"flushed\n")

    sys.stdout = Loud()
    print("words")


def case_unflushed_file():
    globals()["kept"] = open("file.txt", "w")
    kept.write("written by the end")


def case_unflushed_file_in_function():
    file = open("file.txt", "w")
    file.write("written by the end")
    sys.exit(0)


def case_unflushed_file_in_library():
    file = open("file.txt", "w")
    file.write("written by the end")
    io.kept = file
    os.environ.kept = [file]


def case_unflushed_file_in_builtin():
    file = open("file.txt", "w")
    file.write("written by the end")
    __builtins__.kept = file
    sys.kept = file


def case_unflushed_binary_in_cycle():
    file = open("file.bin", "wb")
    file.write(b"written by the end")
    cycle = [file]
    cycle.append(cycle)
    os.PathLike.kept = cycle


def case_duplicated():
    copy = os.fdopen(os.dup(1), "w")
    copy.write("copy ")
    sys.stdout.write("original ")


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
