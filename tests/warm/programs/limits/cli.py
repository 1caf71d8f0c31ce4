#!/usr/bin/env python3
"""Runs against the limits of its stack, its memory, its files and its processor time."""
import gc
import os
import resource
import signal
import sys
import threading


def deeper(level):
    try:
        return deeper(level + 1)
    except RecursionError:
        return level


def case_recursion():
    print(sys.getrecursionlimit(), deeper(0))


def case_recursion_more():
    sys.setrecursionlimit(5000)
    print(deeper(0))


def case_recursion_less():
    sys.setrecursionlimit(200)
    print(deeper(0))


def case_recursion_uncaught():
    class Nested:
        def __repr__(self):
            return repr(self)

    print(Nested())


def case_recursion_in_json():
    import json

    nested = []
    nested.append([nested])
    json.dumps(nested)


def case_recursion_in_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(deeper(0)))
    thread.start()
    thread.join()
    print(found)


def case_stack_of_threads():
    print(threading.stack_size(), threading.stack_size(512 * 1024), threading.stack_size())
    sys.setrecursionlimit(3000)
    case_recursion_in_thread()


def case_stack_limit():
    print(resource.getrlimit(resource.RLIMIT_STACK))
    sys.setrecursionlimit(10**6)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sorted([Key() for _ in range(2)])


class Key:
    def __lt__(self, other):
        return sorted([Key(), Key()]) is None


def case_descriptors_exhausted():
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
    kept = []
    try:
        while True:
            kept.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as fault:
        print(fault, len(kept))


def case_file_too_big():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    with open("file", "wb", buffering=0) as file:
        print(file.write(b"x" * 20))
        file.write(b"y")


def case_file_too_big_by_default():
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
    with open("file", "wb", buffering=0) as file:
        file.write(b"x" * 20)
        file.write(b"y")


def case_processor_time():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


def case_memory():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    try:
        bytearray(1 << 31)
    except MemoryError:
        print("no memory")
    bytearray(1 << 31)


def case_size():
    with open("/proc/self/statm") as file:
        print(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") < 100 << 20)


def case_processes_refused():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    sys.stdout.flush()
    os.system("ulimit -n")


def case_nice():
    print(os.nice(0), os.nice(3), os.getpriority(os.PRIO_PROCESS, 0))


def case_big_numbers():
    try:
        print(len(str(3**12000)))
    except ValueError as fault:
        print(fault)


def case_collected():
    class Cell:
        pass

    for _ in range(2000):
        one, other = Cell(), Cell()
        one.other, other.one = other, one
    print(gc.collect() > 0, gc.collect())


def case_threads_many():
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(100)]
    for thread in threads:
        thread.start()
    print(threading.active_count())
    over.set()


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
