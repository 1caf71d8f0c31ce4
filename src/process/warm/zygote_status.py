"""The status with which an interpreter that is ending will exit.

It tells nobody: it is a number on the stack of its C functions. All forks of one process have the same stack at the
same addresses, and a script that ends by SystemExit always ends through the same functions. So the place is found by
experiment: some forks end with known statuses, in all the ways in which a script can give one, and the place is where
every one of them has its own. It is believed only where the addresses to which those functions will return are found
around it as well. Where this finds nothing, or the system does not let a process look at its own memory, the status
is unknown, and the interpreter goes its whole way.
"""

import os
import sys

REACH = 16 << 10  # bytes of the stack, from its beginning, in which the functions of the interpreter's start are
WORD = 8
MAGIC = 0x5EED1234


def ways():
    """How scripts give a status, and which is made of it."""

    def leave(code):
        sys.exit(code)

    def raise_exit(code):
        raise SystemExit(code)

    def raise_own(code):
        raise type("Own", (SystemExit,), {})(code)

    yield leave, MAGIC, MAGIC
    yield raise_exit, MAGIC ^ 0x7F, MAGIC ^ 0x7F
    yield leave, None, 0
    yield raise_exit, "words", 1
    yield leave, "words", 1
    yield raise_own, MAGIC ^ 0x55, MAGIC ^ 0x55
    yield leave, True, 1
    yield raise_exit, -3, -3


class Stack:
    """The oldest part of the stack of this process and of its forks."""

    def __init__(self):
        with open("/proc/self/stat", "rb") as file:
            self.top = int(file.read().rpartition(b")")[2].split()[25]) & ~(WORD - 1)
        self.place = None
        self.around = []

    def read(self):
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, REACH, self.top - REACH)
        finally:
            os.close(memory)

    def find(self, samples):
        """Finds the place in `samples`, pairs of a status and a stack that holds it."""
        stacks = [stack for _, stack in samples]
        statuses = [status.to_bytes(4, "little", signed=True) for status, _ in samples]
        for at in range(REACH - 4, -1, -4):
            if all(stack[at : at + 4] == status for stack, status in zip(stacks, statuses)):
                break
        else:
            return
        code = executable_ranges()
        around = []
        # The functions that are between the place and the end of the process, and those just below it.
        for word in range(max(0, (at & ~(WORD - 1)) - 16 * WORD), REACH, WORD):
            value = stacks[0][word : word + WORD]
            address = int.from_bytes(value, "little")
            if any(begin <= address < end for begin, end in code):
                if all(stack[word : word + WORD] == value for stack in stacks):
                    around.append((word, value))
        if len(around) >= 4:
            self.place, self.around = at, around

    def status(self):
        """The status of a process that ends by SystemExit; None of one that does not, or where it is unknown."""
        if self.place is None:
            return None
        stack = self.read()
        for word, value in self.around:
            if stack[word : word + WORD] != value:
                return None
        return int.from_bytes(stack[self.place : self.place + 4], "little") & 0xFF


def executable_ranges():
    ranges = []
    with open("/proc/self/maps", "rb") as file:
        for line in file:
            place, rights = line.split()[:2]
            if b"x" in rights:
                ranges.append(tuple(int(end, 16) for end in place.split(b"-")))
    return ranges


def end_with(way, code):
    """Lets the interpreter end this process as if the script's first line had been `way(code)`."""

    def before_first_line(event, _):
        # The first code that is run after this file is the script's own.
        if event == "exec" and sys._getframe().f_back is None:
            way(code)

    sys.addaudithook(before_first_line)
