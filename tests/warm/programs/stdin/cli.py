#!/usr/bin/env python3
"""Reads its input in every way."""
import json
import os
import select
import sys


def case_text():
    print(repr(sys.stdin.read()))


def case_lines():
    for line in sys.stdin:
        print(repr(line))


def case_input():
    try:
        print(repr(input("prompt> ")))
    except EOFError:
        print("the end")


def case_bytes():
    print(sys.stdin.buffer.read())


def case_descriptor():
    print(os.read(0, 100))


def case_open_again():
    with open(0, "rb") as file:
        print(file.read(10))


def case_json():
    try:
        print(json.load(sys.stdin))
    except ValueError as fault:
        print(fault)


def case_object():
    stdin = sys.stdin
    print(stdin, stdin.mode, stdin.buffer, stdin.buffer.raw, stdin.seekable(), stdin.buffer.seekable(), stdin.buffer.raw.seekable())
    print(stdin.isatty(), stdin.readable(), stdin.writable(), stdin.closed, stdin is sys.__stdin__, stdin.newlines, stdin.buffer.raw.closefd)
    print(stdin.buffer.raw.name, stdin.buffer.raw.mode, stdin.line_buffering, stdin.write_through, getattr(stdin, "_CHUNK_SIZE", None))


def case_position():
    try:
        print(sys.stdin.tell())
    except OSError as fault:
        print(fault)


def case_ready():
    print([len(part) for part in select.select([0], [], [], 5)])


def case_closed():
    sys.stdin.close()
    os.close(0) if os.path.exists("/proc/self/fd/0") else None
    print("closed")


def case_unread():
    print("not read")


def case_subprocess():
    sys.stdout.flush()
    os.system("cat")


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
