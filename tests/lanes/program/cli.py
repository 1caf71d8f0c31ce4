"""A program with one command for each thing that a run can do."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

CALLS = 0


def note(path):
    """Says who runs, for whoever looks from outside."""
    with open(path + ".new", "w") as file:
        file.write("%d" % os.getpid())
    os.rename(path + ".new", path)


def apart():
    """A process that nobody's group or session reaches."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)


def facts(_):
    print(json.dumps({
        "argv": sys.argv[1:],
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "group": os.getpgid(0) == os.getpid(),
        "leads its session": os.getsid(0) == os.getpid(),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + name)),
        "name": __name__,
    }, sort_keys=True))


def hang(arguments):
    apart()
    subprocess.Popen(["sleep", "600"])
    note(arguments.words[0])
    print("begun", flush=True)
    time.sleep(600)


def deaf(arguments):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(arguments)


def stop(arguments):
    os.kill(os.getppid(), signal.SIGSTOP)
    globals()[arguments.words.pop(0)](arguments)


def closes(_):
    print("before", flush=True)
    os.closerange(3, 256)


def fill(arguments):
    sys.stdout.write("x" * int(arguments.words[0]))


def ends(arguments):
    how = arguments.words[0]
    print("before")
    if how == "raise":
        raise ValueError("a fault")
    if how.startswith("-"):
        sys.stdout.flush()
        os.kill(os.getpid(), -int(how))
    if how == "text":
        sys.exit("said")
    sys.exit(int(how))


def events(_):
    channel = socket.socket(fileno=3)
    channel.sendall(b"a word\n")
    print(channel.recv(100).decode())


def daemon(arguments):
    subprocess.Popen(
        ["sleep", "600"], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    print("left")


def leave(arguments):
    subprocess.Popen(
        ["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    note(arguments.words[0])


def count(_):
    global CALLS
    CALLS += 1
    print(CALLS, os.getpid())


def read(_):
    print(len(sys.stdin.buffer.read()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("words", nargs="*")
    arguments = parser.parse_args()
    globals()[arguments.command](arguments)


if __name__ == "__main__":
    main()
