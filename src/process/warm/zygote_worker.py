"""A process that runs one call after the other: for commands whose author has said that this is fine.

Each call has its own `__main__`, arguments, environment, directory, descriptors and stream objects. What the script
imports is imported once, and what its modules keep is still there in the next call.
"""

import gc
import os
import sys

ENDED = b"e"
EVENTS = 3
MAX_GROWTH = 64 << 20  # bytes of memory that a process may have more than before its first call
NULL = 255  # out of the way of the numbers that a program gets, of which a fresh one gets 3 first


class Worker:
    """Runs the script, again and again."""

    def __init__(self, state):
        self.state = state
        self.script = sys.argv[0]
        self.directory = os.getcwd()
        self.mask = os.umask(0o77)
        os.umask(self.mask)
        self.streams = (sys.stdout, sys.stderr)
        self.pid = os.getpid()
        self.threads = self.count_threads()
        self.registered = []
        self.joined = False

    def finish_start(self):
        """Does what the interpreter does between the hook of this file and the first line of the script."""
        site = sys.modules["site"]
        site.execsitecustomize()
        if site.ENABLE_USER_SITE:
            site.execusercustomize()
        if not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
            sys.path.insert(0, os.path.dirname(os.path.realpath(self.script)))
        self.seen = self.look_at_script()
        with open(self.script, "rb") as file:
            self.code = compile(file.read(), self.script, "exec", dont_inherit=True)
        import atexit
        import importlib.machinery

        # What a call registers belongs to that call; what was registered before is called when the process ends.
        atexit.register = self.register
        atexit.unregister = self.unregister
        self.loader = importlib.machinery.SourceFileLoader
        self.fresh = self.look()
        self.most = self.resident() + MAX_GROWTH

    def resident(self):
        """Bytes of memory that this process has, shared or not."""
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def register(self, function, *arguments, **named):
        self.registered.append((function, arguments, named))
        return function

    def unregister(self, function):
        self.registered[:] = [entry for entry in self.registered if entry[0] != function]

    def look_at_script(self):
        seen = os.stat(self.script)
        return seen.st_mtime_ns, seen.st_size, seen.st_ino

    def look(self):
        """What one call could leave to the next without the script's modules knowing of it."""
        signal = sys.modules["_signal"]
        with open("/proc/self/limits", "rb") as file:
            limits = file.read()
        return (
            [describe(stream) for stream in self.streams],
            [signal.getsignal(number) for number in range(1, signal.NSIG)],
            signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            signal.getitimer(signal.ITIMER_REAL),
            os.getpriority(os.PRIO_PROCESS, 0),
            limits,
        )

    def has_script_changed(self):
        try:
            return self.look_at_script() != self.seen
        except OSError:
            return True

    def count_threads(self):
        return sys.modules["_thread"]._count()

    def renew(self):
        """What a call must not find as the last one left it."""
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = self.streams
        for stream in self.streams:
            # How it ends lines is not to be seen.
            if stream is not None:
                stream.reconfigure(newline="\n")
        sys.argv = [self.script]
        os.umask(self.mask)
        os.chdir(self.directory)
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)
        weakref = sys.modules.get("weakref")
        if weakref is not None:
            # Its finalizers are called at the end of each call, so each call has to register them.
            weakref.finalize._registered_with_atexit = weakref.finalize._shutdown = False

    def run(self):
        """Runs the script once; its exit status."""
        self.pipes = {pipe(number) for number in (1, 2)} - {None}
        main = type(sys)("__main__")
        main.__dict__.update(
            __builtins__=sys.modules["builtins"],
            __file__=self.script,
            __cached__=None,
            __loader__=self.loader("__main__", self.script),
        )
        if sys.version_info < (3, 14):
            main.__annotations__ = {}
        sys.modules["__main__"] = main
        status = self.guarded(exec, self.code, main.__dict__)
        self.join_threads()
        while self.registered:
            function, arguments, named = self.registered.pop()
            self.guarded(function, *arguments, **named)
        # What the script has kept in its own variables ends with it, such as files that it has not closed: as at the end
        # of an interpreter, while the variables themselves are still there.
        sys.modules["__main__"] = type(sys)("__main__")
        del main
        # The collector may close what is below a file before the file has handed down what it holds.
        flush_files()
        gc.collect()
        if not self.flush():
            status = 120
        return status

    def guarded(self, function, *arguments, **named):
        """Calls the function, and ends an exception as the interpreter would."""
        try:
            function(*arguments, **named)
            return 0
        except SystemExit as left:
            return self.status_of(left.code)
        except BaseException as fault:
            # Without the frame of this function.
            trace = fault.__traceback__.tb_next
            sys.excepthook(type(fault), fault.with_traceback(trace), trace)
            if isinstance(fault, KeyboardInterrupt):
                self.flush()
                signal = sys.modules["_signal"]
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                os.kill(os.getpid(), signal.SIGINT)
            return 1

    def status_of(self, code):
        if code is None:
            return 0
        if isinstance(code, int):
            return code & 0xFF if -1 << 63 <= code < 1 << 63 else 0xFF
        if sys.stderr is not None:
            sys.stderr.write(str(code) + "\n")
        return 1

    def join_threads(self):
        """Waits for the script's threads as the interpreter does at its end. After that there can be no others."""
        threading = sys.modules.get("threading")
        if threading is not None and self.count_threads() > self.threads:
            self.joined = True
            threading._shutdown()

    def flush(self):
        """Whether all that was printed is written. What is not must never come out in the next call."""
        logging = sys.modules.get("logging")
        for reference in logging._handlerList if logging else ():
            handler = reference()
            if handler is not None:
                handler.flush()
        written = True
        for stream in {id(stream): stream for stream in (sys.stdout, sys.stderr) + self.streams}.values():
            try:
                if stream is not None and not getattr(stream, "closed", False):
                    stream.flush()
            except Exception:
                # One that the program has taken apart to make another of it is nobody's output any more.
                if stream in (sys.stdout, sys.stderr) or describe(stream) is not None:
                    written = False
        return written

    def may_go_on(self):
        """Whether this process is as fresh as it can be: else it ends, and another takes the next call."""
        try:
            os.waitpid(-1, os.WNOHANG)
            return False
        except ChildProcessError:
            pass
        if self.resident() > self.most:
            return False
        if self.joined or self.count_threads() > self.threads or self.has_script_changed():
            return False
        # An object in the place of one of them may close it when it goes.
        if (sys.stdout, sys.stderr) != self.streams:
            return False
        # Through a copy the output of this call would stay open.
        if any(number > 2 and pipe(number) in self.pipes for number in map(int, os.listdir("/proc/self/fd"))):
            return False
        return self.look() == self.fresh


def pipe(number):
    """Which pipe this descriptor belongs to; None where it is none."""
    try:
        seen = os.fstat(number)
    except OSError:
        return None
    return (seen.st_dev, seen.st_ino) if seen.st_mode & 0o170000 == 0o010000 else None


def flush_files():
    """Writes what is left in all files of this process. Where that fails, nobody has asked for it."""
    io = sys.modules["io"]
    for thing in gc.get_objects():
        if isinstance(thing, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            try:
                thing.flush()
            except Exception:
                pass


def describe(stream):
    """A stream object as its maker left it; None where it cannot be used any more."""
    try:
        if stream is None or stream.closed:
            return None
        return stream.buffer, stream.encoding, stream.errors, stream.line_buffering, stream.write_through
    except (AttributeError, ValueError):
        return None


def work(state, socket, has_events, next_order):
    """Runs the order that has been taken, and then each that `next_order` takes. Does not return.

    `has_events` and the result of `next_order`: whether descriptor 3 is the program's events channel.
    """
    worker = Worker(state)
    worker.finish_start()
    # Not as number 3, which is the events channel of another call.
    opened = os.open(os.devnull, os.O_RDWR)
    null = os.dup2(opened, NULL, False)
    os.close(opened)
    while True:
        status = worker.run()
        if os.getpid() != worker.pid:
            # A fork that the script made has come to its end.
            os._exit(status)
        may_go_on = status != 120 and worker.may_go_on()
        if not may_go_on:
            os._exit(status)
        try:
            # The pipes of this call end now.
            for number in (0, 1, 2):
                os.dup2(null, number)
            if has_events:
                os.close(EVENTS)
            socket.send(ENDED + status.to_bytes(4, "little"))
        except OSError:
            # The script has closed more than was its own; its status is what it would be all the same.
            os._exit(status)
        has_events = next_order(worker)
