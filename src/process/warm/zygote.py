"""A Python program stopped in the middle of its own start, from which each call is forked.

The server puts the directory of this file first on PYTHONPATH and runs the plugin's own command line. `site` then
imports this file as `sitecustomize`, before the interpreter has opened the plugin's script. Here the process imports
what the script is known to import, and forks. Only in a fork that is to run a call does this file end; the interpreter
then goes on by itself: it computes `sys.path[0]`, opens and compiles the script, runs it as `__main__`, and handles
its end. No frame of this file is below the script, and none of its names, modules or descriptors is left.

The processes (the server's documents call them by the same letters):

    Z   this process: waits for requests on descriptor 3, never runs the script
    M   a fork of Z that becomes the supervisor of one lane, by exec of the server's binary
    L   a fork of M before that exec: forks one call after the other, and never sees an order
    P   a fork of L: reads the order of one call itself, and runs it
    W   a P that was asked to stay, and runs one order after the other

Whatever goes wrong here costs the warmth, never the call: a P that is in doubt refuses, and the call is started by exec.
"""

import os
import sys

CONTROL = 3
FORMAT_LIMIT = 64 << 10  # bytes of one packet from or to the server
ORDER_HEADER = 10  # body length (u32), number of arguments (u32), flags (u16), all little-endian
ORDER_LIMIT = 64 << 20
HAS_DIRECTORY, HAS_STDIN, HAS_EVENTS, REUSE = 1, 2, 4, 128
GO_ON, REFUSE, GO = b"s", b"r", b"g"

# Read by the interpreter, its libraries or the C library when a process starts: too late to change them in a fork.
READ_AT_START = (b"PYTHON", b"LC_", b"LANG", b"LD_", b"MALLOC_", b"GLIBC_", b"HOME")


class Refused(Exception):
    """This order must be run by a process of its own."""


def begin():
    """What a fork needs to know of the start of this process; removes all signs of this file."""
    global asking, learning, loading, exercise, ending, worker_module
    own = os.path.dirname(__file__)
    with open("/proc/self/cmdline", "rb") as file:
        command = file.read().split(b"\0")[:-1]
    if os.path.dirname(os.fsdecode(command[1])) == own:
        asking = hidden("zygote_asking")
    else:
        learning, loading, exercise, ending, worker_module = map(
            hidden, ("zygote_learning", "zygote_loading", "zygote_exercise", "zygote_ending", "zygote_worker")
        )
    sys.path[:] = [entry for entry in sys.path if entry != own]
    sys.path_importer_cache.pop(own, None)
    given = os.environ.pop("PYTHONPATH").partition(os.pathsep)[2]
    if given:
        os.environ["PYTHONPATH"] = given
    with open("/proc/self/environ", "rb") as file:
        names = {variable.partition(b"=")[0] for variable in file.read().split(b"\0")}
    # The interpreter itself sets LC_CTYPE where the locale is C (PEP 538): every process of this environment does.
    coerced = os.environb.get(b"LC_CTYPE") if b"LC_CTYPE" not in names else None
    return command, coerced


def serve():
    """Z: answers requests until the server closes the socket. Returns in a P alone."""
    command, coerced = begin()
    os.set_inheritable(CONTROL, False)
    requests = hidden("_socket").socket(fileno=CONTROL)
    json = Json()
    state = State(command, coerced)
    requests.send(json.write({"ready": os.getpid(), "paths": sys.path}))
    while True:
        ignore_children(True)
        packet, descriptors = receive(requests, FORMAT_LIMIT)
        if not packet:
            os._exit(0)
        ignore_children(False)
        try:
            request = json.read(packet.decode())
            if request["do"] == "lane":
                if start_lane(requests, request["limit"], descriptors, state):
                    return
            elif request["do"] == "learn":
                if start_probe(requests, request, descriptors, state, json):
                    return
            elif request["do"] == "load":
                loaded = load(json.read(read_all(descriptors[0]).decode()), state)
                answer = json.write(loaded)
                if len(answer) > FORMAT_LIMIT:
                    # What was read and left out is for whoever looks at it; the server needs the rest.
                    answer = json.write({key: loaded[key] for key in ("loaded", "spoiled") if key in loaded})
                requests.send(answer)
            elif request["do"] == "share":
                state.share(asking.Common(os.fsdecode(command[1]), hidden))
                requests.send(json.write({"shared": len(state.common.shared)}))
            else:
                raise ValueError("no such request: %r" % request["do"])
        except Exception as fault:
            requests.send(json.write({"error": ("%s: %s" % (type(fault).__name__, fault))[:1000]}))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


class State:
    """What Z has found out, and every fork of it reads."""

    def __init__(self, command, coerced):
        self.command = command
        self.coerced = coerced
        self.pipe_stdin = open_pipe_as_stdin()
        self.renewals = []
        self.common = None
        self.pin((), READ_AT_START)

    def share(self, common):
        """From now on forks run any script of this interpreter."""
        self.common = common
        self.renewals = renewals()
        self.pin((), READ_AT_START + common.starts)

    def pin(self, names, starts):
        """Variables whose value must be that of Z: with these names, or names that begin so."""
        self.names, self.starts = frozenset(names), tuple(starts)
        self.pinned = {name: value for name, value in os.environb.items() if self.is_pinned(name)}
        if self.coerced is not None:
            del self.pinned[b"LC_CTYPE"]

    def is_pinned(self, name):
        return name.startswith(self.starts) or name in self.names


# Learning and loading


def start_probe(requests, request, descriptors, state, json):
    """Forks a process that runs the script with these arguments and reports what it imports. True in that process."""
    pid = os.fork()
    if pid:
        status = os.waitpid(pid, 0)[1]
        requests.send(json.write({"status": status}))
        return False
    try:
        os.setpgid(0, 0)
        os.close(requests.detach())
        command = state.command + [os.fsencode(word) for word in request["argv"]]
        variables = [os.fsencode(text) for item in request["environment"].items() for text in item]
        report = descriptors.pop()
        os.dup2(descriptors[0], 1)
        os.dup2(descriptors[1], 2)
        while descriptors:
            os.close(descriptors.pop())
        become(state, None, command, variables)
        directory = os.path.dirname(os.path.realpath(sys.argv[0]))
        recorder = learning.Recorder(directory, hidden("_locale"), lambda modules: write_all(report, json.write(modules)))
        import atexit

        # Registered first, it is called last.
        atexit.register(recorder.report)
        recorder.install()
        return True
    except BaseException as fault:
        os.write(2, b"the question cannot be asked: %s\n" % os.fsencode(repr(fault)))
        os._exit(1)


def load(modules, state):
    """Imports the modules; the answer to the server."""
    loader = loading.Loader(hidden("_locale"))
    try:
        loader.load(modules)
    except loading.Spoiled as spoiled:
        return {"spoiled": spoiled.args[0], "why": spoiled.args[1]}
    state.pin(loader.names(), READ_AT_START + loader.starts())
    state.renewals = renewals()
    visible = set(sys.modules)
    exercise.exercise()
    for name in set(sys.modules) - visible:
        del sys.modules[name]
    ending.Ending().prepare()
    return {"loaded": loader.loaded, "read": sorted(loader.read), "left_out": loader.left_out}


# Lanes


def start_lane(requests, limit, descriptors, state):
    """Forks M, which becomes the supervisor, and below it L. True in a P alone."""
    if os.fork():
        return False
    try:
        supervisor, binary = descriptors
        os.setsid()
        socket = hidden("_socket")
        control = pair(socket)
        order = pair(socket)
        if os.fork() == 0:
            # Emptied, since in a P their numbers are soon those of other files.
            descriptors.clear()
            for descriptor in (requests.detach(), supervisor, binary, control[0], order[0]):
                os.close(descriptor)
            return fork_calls(control[1], socket.socket(fileno=order[1]), state)
        become_supervisor(supervisor, control[0], order[0], binary, limit)
    finally:
        # Reached by M alone, when it could not become the supervisor: its socket ends, and the server knows.
        if sys.exc_info()[0] is not None:
            os._exit(1)


def pair(socket):
    """Two connected stream sockets as bare descriptors."""
    return [end.detach() for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)]


def become_supervisor(supervisor, control, order, binary, limit):
    """M: the server's socket as stdin, control as stdout, order as stderr, and nothing else."""
    # Above every number that is assigned below, and gone by the exec.
    moved = [os.dup2(descriptor, 64 + number, False) for number, descriptor in enumerate((supervisor, control, order))]
    binary = os.dup2(binary, 70, False)
    for number, descriptor in enumerate(moved):
        os.dup2(descriptor, number)
    restore_dispositions()
    os.execve(binary, ["smcp", "__supervise", limit, "lane"], {})


def fork_calls(control, order, state):
    """L: forks a call for each byte on `control`, and writes its number and how it ended. True in a P."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)
    while os.read(control, 1):
        pid = os.fork()
        if pid == 0:
            os.close(control)
            take_order(order, state)
            return True
        os.write(control, pid.to_bytes(4, "little"))
        status = os.waitpid(pid, 0)[1]
        os.write(control, status.to_bytes(4, "little"))
    os._exit(0)


# Calls


def take_order(socket, state, worker=None):
    """P: becomes the process that an exec of the order would have started, or refuses and ends."""
    try:
        if worker is None:
            # As the supervisor does it for what it executes: the group of a call can be sent signals.
            os.setpgid(0, 0)
        flags, directory, arguments, variables, descriptors = read_order(socket)
        if worker is not None:
            if not flags & REUSE or worker.has_script_changed():
                raise Refused
            worker.renew()
        become(state, directory, arguments, variables)
        install(descriptors, flags, state)
        if worker is not None:
            # What the last call has not read of its input must not be found in this one's.
            sys.stdin = sys.__stdin__ = open_stdin()
        for renew in state.renewals:
            renew()
        socket.send(GO_ON)
        # The supervisor reports the start first: a call of which no start was reported has not run.
        if socket.recv(1) != GO:
            os._exit(1)
    except BaseException:
        try:
            socket.send(REFUSE)
        finally:
            os._exit(1)
    if not flags & REUSE:
        os.close(socket.detach())
    elif worker is None:
        worker_module.work(
            state, socket, flags & HAS_EVENTS, lambda worker: take_order(socket, state, worker)
        )
    return flags & HAS_EVENTS


def read_order(socket):
    """The parts of one order. Nothing follows it on the socket before it is answered."""
    data, descriptors = receive(socket, FORMAT_LIMIT)
    while len(data) < ORDER_HEADER:
        data += receive_more(socket)
    length = int.from_bytes(data[:4], "little")
    if length > ORDER_LIMIT:
        raise Refused
    flags = int.from_bytes(data[8:ORDER_HEADER], "little")
    while len(data) < ORDER_HEADER + length:
        data += receive_more(socket)
    texts = data[ORDER_HEADER:].split(b"\0")
    del texts[-1]
    directory = texts.pop(0) if flags & HAS_DIRECTORY else None
    count = int.from_bytes(data[4:8], "little")
    return flags, directory, texts[:count], texts[count:], descriptors


def receive_more(socket):
    data = socket.recv(1 << 20)
    if not data:
        raise Refused
    return data


def become(state, directory, arguments, variables):
    """Takes on the directory, the arguments and the environment."""
    command = state.command
    if state.common is not None:
        command = state.common.take(arguments, command)
    if arguments[: len(command)] != command:
        raise Refused
    if directory is not None:
        os.chdir(directory)
    arguments = [os.fsdecode(argument) for argument in arguments[len(command) :]]
    sys.argv[1:] = arguments
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[len(command) :] = arguments

    names = variables[::2]
    environment = dict(zip(names, variables[1::2]))
    if len(environment) != len(names):
        raise Refused
    if {name: value for name, value in environment.items() if state.is_pinned(name)} != state.pinned:
        raise Refused
    if state.coerced is not None:
        environment[b"LC_CTYPE"] = state.coerced
    zone = os.environb.get(b"TZ")
    set_environment(environment)
    if environment.get(b"TZ") != zone:
        import time

        time.tzset()


def set_environment(environment):
    """Makes this the environment, in its order, of the process and of `os.environ`. Changes no more than it must: most
    variables are those of Z, and each change costs a copy of the pages that it touches."""
    current = os.environ._data
    kept = [name for name in current if name in environment]
    if list(environment)[: len(kept)] != kept:
        os.environ.clear()
    for name in [name for name in current if name not in environment]:
        os.unsetenv(name)
        del current[name]
    for name, value in environment.items():
        if current.get(name) != value:
            os.putenv(name, value)
            current[name] = value


def install(descriptors, flags, state):
    """Gives the program its descriptors, and closes all others."""
    given = list(descriptors)
    os.dup2(given.pop(0), 1)
    os.dup2(given.pop(0), 2)
    if flags & HAS_STDIN:
        os.dup2(given.pop(0), 0)
        sys.stdin = sys.__stdin__ = state.pipe_stdin
    if flags & HAS_EVENTS:
        events = given.pop(0)
        if events == CONTROL:
            os.set_inheritable(CONTROL, True)
        else:
            os.dup2(events, CONTROL)
        descriptors = [descriptor for descriptor in descriptors if descriptor != CONTROL]
    for descriptor in descriptors:
        os.close(descriptor)


# What the fork of a process has in common with it, and two runs of a program have not


def open_pipe_as_stdin():
    """An object for stdin as the interpreter makes it for a pipe, which unlike the null device has no position.

    Made once, since its making costs a fork more than its use.
    """
    saved = os.dup(0)
    pipe = os.pipe()
    try:
        os.dup2(pipe[0], 0)
        return open_stdin()
    finally:
        os.dup2(saved, 0)
        for descriptor in pipe + (saved,):
            os.close(descriptor)


def open_stdin():
    """An object for descriptor 0, as the interpreter makes it."""
    io, old = sys.modules["io"], sys.__stdin__
    buffer = io.open(0, "rb", buffering=-1, closefd=False)
    buffer.raw.name = "<stdin>"
    stdin = io.TextIOWrapper(
        buffer,
        encoding=old.encoding,
        errors=old.errors,
        newline="\n",
        line_buffering=old.line_buffering,
        write_through=old.write_through,
    )
    stdin.mode = "r"
    return stdin


def renewals():
    """Functions that give a fork what a fresh process would have of its own; `random` does so by itself."""
    made = []
    loaded = sys.modules
    if "threading" in loaded:
        # The system's number of the only thread; Python renews it in a thread that it starts itself.
        made.append(loaded["threading"].main_thread()._set_native_id)
    if "logging" in loaded:
        made.append(lambda logging=loaded["logging"], time=loaded["time"]: renew_start_time(logging, time))
    if "multiprocessing.process" in loaded:
        made.append(lambda process=loaded["multiprocessing.process"]: renew_authkey(process))
    if "numpy.random" in loaded:
        made.append(loaded["numpy.random"].seed)
    return made


def renew_start_time(logging, time):
    old = logging._startTime
    logging._startTime = time.time() if isinstance(old, float) else time.time_ns()


def renew_authkey(process):
    process._current_process._config["authkey"] = process.AuthenticationString(os.urandom(32))


# Tools


def hidden(name):
    """Imports a module and takes it out of `sys.modules` again, where the script would see it."""
    before = set(sys.modules)
    module = __import__(name)
    for other in set(sys.modules) - before:
        del sys.modules[other]
    return module


def receive(socket, size):
    """Bytes, and the descriptors that came with them. None of these is inheritable."""
    data, ancillary, flags, _ = socket.recvmsg(size, 256, 0x40000000)  # MSG_CMSG_CLOEXEC
    if flags & 8:  # MSG_CTRUNC: there was no room for all descriptors
        raise Refused
    numbers = b"".join(part[2] for part in ancillary)
    return data, [int.from_bytes(numbers[at : at + 4], sys.byteorder) for at in range(0, len(numbers), 4)]


def read_all(descriptor):
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data) :]


def ignore_children(ignored):
    """Whether the system reaps children by itself: supervisors that end do not stay as zombies."""
    signal = sys.modules["_signal"]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN if ignored else signal.SIG_DFL)


def restore_dispositions():
    """What Python ignores, and a program that is executed must not inherit as ignored."""
    signal = sys.modules["_signal"]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


class Json:
    """The interpreter's own parser without the package around it, whose imports would cost and show."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float, parse_int, parse_constant = float, int, float
    memo = {}

    def __init__(self):
        self.tools = hidden("_json")
        self.scan = self.tools.make_scanner(self)

    def read(self, text):
        return self.scan(text, 0)[0]

    def write(self, value):
        return self.text(value).encode()

    def text(self, value):
        if isinstance(value, str):
            return self.tools.encode_basestring_ascii(value)
        if isinstance(value, dict):
            return "{%s}" % ",".join("%s:%s" % (self.text(key), self.text(item)) for key, item in value.items())
        if isinstance(value, (list, tuple)):
            return "[%s]" % ",".join(map(self.text, value))
        return "null" if value is None else "%d" % value


try:
    serve()
except BaseException as fault:
    # Only a fork that was given an order may go on to the script.
    os.write(2, b"the warm interpreter cannot start: %s\n" % os.fsencode(repr(fault)))
    os._exit(1)
# The environment may have a sitecustomize of its own, which is loaded now as it would have been; if there is none,
# `site` expects this very ImportError, and the failed import removes what is left of this file.
del sys.modules[__name__]
import sitecustomize
