#!/usr/bin/env python3
"""Opens, closes, copies and inherits descriptors."""
import fcntl
import io
import os
import select
import subprocess
import sys


def opened():
    return sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name))


def case_lowest():
    print(os.open(os.devnull, os.O_RDONLY), os.dup(1), os.pipe())


def case_closed_output():
    os.close(1)
    print("lost")


def case_closed_output_flushed():
    os.close(1)
    print("lost", flush=True)


def case_closed_error():
    os.close(2)
    raise ValueError("lost")


def case_closed_all():
    sys.stdout.write("before")
    os.closerange(0, 50)


def case_closed_input():
    os.close(0)
    print(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())


def case_output_to_file():
    sys.stdout.write("to the pipe ")
    sys.stdout.flush()
    file = os.open("file", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(file, 1)
    print("to the file")


def case_output_to_error():
    os.dup2(2, 1)
    print("both to the same")
    print("and this", file=sys.stderr)


def case_output_not_blocking():
    flags = fcntl.fcntl(1, fcntl.F_GETFL)
    fcntl.fcntl(1, fcntl.F_SETFL, flags | os.O_NONBLOCK)
    print(os.get_blocking(1), os.get_blocking(0), os.get_blocking(2))


def case_inherited():
    read, write = os.pipe()
    done = subprocess.run(["sh", "-c", "echo words >&%d" % write], pass_fds=[write])
    os.close(write)
    print(done.returncode, os.read(read, 10), os.get_inheritable(read), os.get_inheritable(1))


def case_children_see():
    sys.stdout.flush()
    for close in (True, False):
        subprocess.run(["sh", "-c", "for f in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/self/fd/$f && echo $f; done"], close_fds=close)


def case_error_of_child():
    print("ours", file=sys.stderr, flush=True)
    subprocess.run(["sh", "-c", "echo theirs >&2; echo out"])


def case_taken_by_child():
    print(subprocess.check_output(["cat"], stdin=subprocess.DEVNULL), subprocess.getoutput("echo words; exit 3"))


def case_wrapped_anew():
    sys.stdout.write("first ")
    sys.stdout.flush()
    sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="latin-1")
    print("ä")


def case_file_object():
    with os.fdopen(1, "w", closefd=False) as out:
        out.write("once ")
    with os.fdopen(1, "w") as out:
        out.write("twice")


def case_polled():
    poll = select.poll()
    for number in (0, 1, 2):
        poll.register(number, select.POLLOUT)
    print([number for number, _ in poll.poll(0)])


def case_interleaved():
    for number in range(3000):
        (sys.stdout if number % 3 else sys.stderr).write("%d %s\n" % (number, "z" * (number % 80)))


def case_interleaved_with_descriptor():
    for number in range(300):
        print(number)
        if number % 100 == 0:
            os.write(1, b"raw\n")


def case_sendfile():
    with open("file", "wb+") as file:
        file.write(b"w" * 100000)
        file.flush()
        sys.stdout.flush()
        os.sendfile(1, file.fileno(), 0, 100000)


def case_same_pipe():
    print(os.fstat(1).st_ino == os.fstat(2).st_ino, [oct(os.fstat(number).st_mode) for number in (0, 1, 2)])


def case_none_else():
    print(opened())


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
