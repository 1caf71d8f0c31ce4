"""Runs one program of a deploy: with a time limit, and with an output of bounded size."""

import os
import signal
import subprocess
import threading
import time
from collections import deque

MAX_OUTPUT = 32 * 1024
#: Seconds for a program to end after SIGTERM, and for the rest of its output after its end.
GRACE = 2.0
OUTPUT_GRACE = 0.5


class Outcome:
    """How a program ended."""

    def __init__(self, status, output, seconds, timed_out=False):
        #: The exit status; `None` if it could not be started.
        self.status = status
        self.output = output
        self.seconds = round(seconds, 2)
        self.timed_out = timed_out

    @property
    def is_success(self):
        return self.status == 0 and not self.timed_out

    def why(self):
        if self.timed_out:
            return "it took longer than {:g} s".format(self.seconds)
        if self.status is None:
            return "it cannot be started"
        if self.status < 0:
            return "ended by signal {}".format(-self.status)
        return "exit status {}".format(self.status)


class Tail:
    """The last bytes of a pipe, read so that its writer never waits."""

    def __init__(self, pipe):
        self._pipe = pipe
        self._pieces = deque()
        self._size = 0
        self._lost = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            piece = self._pipe.read1(8192)
            if not piece:
                self._pipe.close()
                return
            with self._lock:
                self._pieces.append(piece)
                self._size += len(piece)
                while self._size - len(self._pieces[0]) >= MAX_OUTPUT:
                    self._size -= len(self._pieces.popleft())
                    self._lost = True

    def text(self):
        # A process that was left running may keep the pipe open for ever.
        self._thread.join(OUTPUT_GRACE)
        with self._lock:
            content, lost = b"".join(self._pieces), self._lost
        lost = lost or len(content) > MAX_OUTPUT
        text = content[-MAX_OUTPUT:].decode("utf-8", "replace").strip()
        return "[earlier output left out]\n" + text if lost else text


def run(argv, directory=None, variables=None, seconds=600.0, leaves_processes=False):
    """Runs a program to its end. What it leaves running is ended with it, unless `leaves_processes`."""
    began = time.monotonic()
    environment = dict(os.environ, **(variables or {}))
    environment.pop("SMCP_EVENTS", None)  # its descriptor is not passed on
    try:
        child = subprocess.Popen(
            argv,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as fault:
        return Outcome(None, "{}: {}".format(argv[0], fault.strerror or fault), time.monotonic() - began)
    timed_out = False
    try:
        tail = Tail(child.stdout)
        try:
            child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
            _signal(child, signal.SIGTERM)
            try:
                child.wait(timeout=GRACE)
            except subprocess.TimeoutExpired:
                pass
    except BaseException:
        _signal(child, signal.SIGKILL)
        child.wait()
        raise
    if timed_out or not leaves_processes:
        _signal(child, signal.SIGKILL)
    status = child.wait()
    return Outcome(status, tail.text(), time.monotonic() - began, timed_out)


def _signal(child, number):
    """To the whole group, which is the program's own."""
    try:
        os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        pass
