"""Plays the server and a lane's supervisor towards the warm parent, without either: for the tests beside this file.

`Parent` is one warm parent, `Parent.lane` gives a `Lane`, and `Lane.run` runs one call in it. `cold` runs the same
call by exec, below a session leader and in a group of its own, as a supervisor does.
"""

import array
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "..", "..", "src", "process", "warm")
# The script of a parent that has none: what src/process/warm/zygote_asking.py calls the link.
LINK = "script.pyc"
HAS_DIRECTORY, HAS_STDIN, HAS_EVENTS, WARM, REUSE = 1, 2, 4, 64, 128
DEADLINE = 180  # seconds; nothing that goes well takes one

# Stands for the server's binary after the exec of M: hands its ends of the two channels to the test, and stays as the
# leader of the session and the reaper of what a call leaves.
SUPERVISOR = r"""
import ctypes, os, socket, array
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
server = socket.socket(fileno=0)
server.sendmsg([b"l" + os.getpid().to_bytes(4, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))])
null = os.open(os.devnull, os.O_RDWR)
os.dup2(null, 1)
os.dup2(null, 2)
while server.recv(1):
    pass
"""


class Call:
    """One call: the words after the script, what it is given, and where."""

    def __init__(self, arguments=(), environment=None, stdin=None, directory=None, events=None, reuse=False):
        self.arguments = list(arguments)
        self.environment = dict(environment or {})
        self.stdin = stdin
        self.directory = directory
        self.events = events
        self.reuse = reuse


class Result:
    """What a call printed, and its wait status."""

    def __init__(self, stdout, stderr, status):
        self.stdout, self.stderr, self.status = stdout, stderr, status

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return "Result(status=%r, stdout=%r, stderr=%r)" % (self.status, self.stdout, self.stderr)


class Streams:
    """The pipes of one call, read to their ends side by side."""

    def __init__(self, stdin):
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        self.given = [out, err]
        self.feed = None
        if stdin is not None:
            read, self.feed = os.pipe()
            self.given.append(read)
        self.stdin = stdin
        self.read = {}

    def begin(self):
        """To be called when the program has its ends."""
        for descriptor in self.given:
            os.close(descriptor)
        self.threads = [threading.Thread(target=self._drain, args=(name,), daemon=True) for name in ("out", "err")]
        if self.feed is not None:
            self.threads.append(threading.Thread(target=self._feed, daemon=True))
        for thread in self.threads:
            thread.start()

    def end(self):
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive(), "a pipe of the call is still open"
        return self.read["out"], self.read["err"]

    def _drain(self, name):
        with open(getattr(self, name), "rb") as file:
            self.read[name] = file.read()

    def _feed(self):
        try:
            with open(self.feed, "wb") as file:
                file.write(self.stdin)
        except BrokenPipeError:
            pass


def cold(interpreter, script, call):
    """Runs the call by exec."""
    streams = Streams(call.stdin)
    out, err = streams.given[:2]
    stdin = streams.given[2] if call.stdin is not None else subprocess.DEVNULL

    def prepare():
        os.setpgid(0, 0)
        if call.events is not None:
            os.dup2(call.events, 3)

    process = subprocess.Popen(
        [interpreter, script] + call.arguments,
        stdin=stdin,
        stdout=out,
        stderr=err,
        env=call.environment,
        cwd=call.directory,
        pass_fds=() if call.events is None else (3,),
        preexec_fn=prepare,
    )
    streams.begin()
    stdout, stderr = streams.end()
    _, status = os.waitpid(process.pid, 0)
    process.returncode = 0
    return Result(stdout, stderr, status)


class Parent:
    """One warm parent."""

    def __init__(self, interpreter, script, environment, directory=None):
        self.given = (interpreter, script, environment, directory)
        self.interpreter, self.script = interpreter, script
        self.private = tempfile.mkdtemp(prefix="warm-")
        if script is None:
            script = os.path.join(self.private, LINK)
            os.symlink("/proc/self/fd/63", script)
        for name in os.listdir(SOURCES):
            if name.endswith(".py"):
                own = "sitecustomize.py" if name == "zygote.py" else name
                shutil.copy(os.path.join(SOURCES, name), os.path.join(self.private, own))
        # The supervisor's exec runs this interpreter with the relative path `__supervise`.
        self.room = tempfile.mkdtemp(prefix="warm-")
        with open(os.path.join(self.room, "__supervise"), "w") as file:
            file.write(SUPERVISOR)
        environment = dict(environment)
        path = [self.private] + ([environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else [])
        environment["PYTHONPATH"] = os.pathsep.join(path)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(DEADLINE)
        log, out = os.pipe()
        number = theirs.fileno()

        def prepare():
            os.setpgid(0, 0)
            os.dup2(number, 3)

        self.process = subprocess.Popen(
            [interpreter, script],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
            cwd=self.room,
            pass_fds=(3,),
            preexec_fn=prepare,
        )
        theirs.close()
        os.close(out)
        self.log = open(log, "rb")
        ready = self.answer()
        assert ready["ready"] == self.process.pid and self.private not in ready["paths"], ready

    def share(self):
        """Has this parent, which has no script of its own, run those of all its calls; see `Common`."""
        self.request({"do": "share"})
        return self.answer()["shared"]

    def answer(self):
        packet = self.socket.recv(1 << 16)
        assert packet, "the warm parent ended: %r" % self.log.read()
        answer = json.loads(packet)
        assert "error" not in answer, answer
        return answer

    def request(self, message, descriptors=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.socket.sendmsg([json.dumps(message).encode()], rights)

    def lane(self):
        """A new lane."""
        ours, theirs = socket.socketpair()
        binary = os.open(os.path.realpath(shutil.which("python3", path="/usr/bin") or self.interpreter), os.O_RDONLY)
        self.request({"do": "lane", "limit": "1024"}, [theirs.fileno(), binary])
        theirs.close()
        os.close(binary)
        return Lane(self, ours)

    def learn(self, call):
        """Runs the question in a fork; its result, and the list of modules that are safe to preload."""
        streams = Streams(None)
        report = os.memfd_create("report")
        message = {"do": "learn", "argv": call.arguments, "environment": call.environment}
        self.request(message, streams.given + [report])
        streams.begin()
        status = self.answer()["status"]
        stdout, stderr = streams.end()
        with open(report, "rb") as file:
            file.seek(0)
            text = file.read()
        return Result(stdout, stderr, status), json.loads(text) if text else None

    def load(self, modules):
        """Imports what was learned; the parent's answer."""
        descriptor = os.memfd_create("modules")
        with open(descriptor, "wb") as file:
            file.write(json.dumps(modules).encode())
            file.flush()
            self.request({"do": "load"}, [descriptor])
        return self.answer()

    def warm_up(self, call):
        """Learns from the question and loads what is safe, beginning again without what spoils the parent. What was
        loaded, and why the rest was not."""
        result, modules = self.learn(call)
        assert modules is not None, "the question did not come to its end: %r" % result
        why = {}
        while True:
            answer = self.load(modules)
            if "spoiled" not in answer:
                return dict(answer, modules=modules, spoiled=why)
            why[answer["spoiled"]] = answer["why"]
            modules = [module for module in modules if module[0] != answer["spoiled"]]
            self.close()
            self.__init__(*self.given)

    def close(self):
        self.socket.close()
        self.process.wait(DEADLINE)
        self.log.close()
        shutil.rmtree(self.private)
        shutil.rmtree(self.room)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Common(Parent):
    """One parent for all scripts of an interpreter."""

    def __init__(self, interpreter, environment):
        super().__init__(interpreter, None, environment)

    def lane(self, script):
        lane = super().lane()
        lane.script = script
        return lane


class Lane:
    """One lane of a parent, played from the supervisor's side."""

    def __init__(self, parent, server):
        self.parent, self.server, self.script = parent, server, parent.script
        server.settimeout(DEADLINE)
        data, ancillary, _, _ = server.recvmsg(5, 256)
        assert data[:1] == b"l", "the supervisor's first words: %r" % data
        numbers = array.array("i")
        numbers.frombytes(ancillary[0][2])
        self.supervisor = int.from_bytes(data[1:], "little")
        self.control = socket.socket(fileno=numbers[0])
        self.order = socket.socket(fileno=numbers[1])
        for channel in (self.control, self.order):
            channel.settimeout(DEADLINE)
        self.worker = False

    def run(self, call):
        """Runs the call; None when the parent refuses it."""
        streams = Streams(call.stdin)
        if not self.worker:
            self.control.sendall(b"n")
            self.pid = struct.unpack("<i", receive(self.control, 4))[0]
        descriptors = streams.given + ([] if call.events is None else [call.events])
        header, body = encode([self.parent.interpreter, self.script], call)
        sent = self.order.sendmsg(
            [header + body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        )
        self.order.sendall((header + body)[sent:])
        streams.begin()
        answer = receive(self.order, 1)
        self.started = answer
        if answer != b"s":
            status = receive(self.control, 4)
            streams.end()
            self.worker = False
            return None
        self.order.sendall(b"g")
        status = self.ending()
        stdout, stderr = streams.end()
        return Result(stdout, stderr, status)

    def ending(self):
        """The status of the call: of its process, or of one order of a worker."""
        import select

        ready, _, _ = select.select([self.control, self.order], [], [], DEADLINE)
        assert ready, "the call does not end"
        if self.order in ready:
            first = self.order.recv(1)
            if first == b"e":
                self.worker = True
                return struct.unpack("<i", receive(self.order, 4))[0] << 8
        self.worker = False
        return struct.unpack("<i", receive(self.control, 4))[0]

    def close(self):
        for channel in (self.control, self.order, self.server):
            channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def encode(command, call):
    arguments = [os.fsencode(word) for word in command + call.arguments]
    variables = [os.fsencode(text) for item in call.environment.items() for text in item]
    directory = [] if call.directory is None else [os.fsencode(call.directory)]
    body = b"".join(text + b"\0" for text in directory + arguments + variables)
    flags = WARM
    flags |= HAS_DIRECTORY if directory else 0
    flags |= HAS_STDIN if call.stdin is not None else 0
    flags |= HAS_EVENTS if call.events is not None else 0
    flags |= REUSE if call.reuse else 0
    return struct.pack("<IIH", len(body), len(arguments), flags), body


def receive(channel, length):
    data = b""
    while len(data) < length:
        more = channel.recv(length - len(data))
        if not more:
            return data
        data += more
    return data
