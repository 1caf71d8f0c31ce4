# Keeps a watched program from working: what it may not do before its parser is asked.
#
# Knows no parser. The whole embedded program is one namespace: guard.py, payload.py,
# read_argparse.py, read_click.py and watch.py in this order. It imports next to nothing, so
# that a program finds its own modules even where they are named like the standard library's.

import os
import sys

SERVED, FAULT, REFUSED, NOT_ASKED = 0, 1, 3, 4

# Events by what a person would call them. Reading files, listing directories, importing, threads
# and native libraries are left alone: programs need them to be loaded at all.
REFUSALS = {
    "starts a process": (
        "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
        "pty.spawn", "subprocess.Popen", "webbrowser.open",
    ),
    "uses the network": (
        "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyaddr",
        "socket.gethostbyname", "socket.getnameinfo", "socket.sendmsg", "socket.sendto",
    ),
    "changes files": (
        "os.chflags", "os.chmod", "os.chown", "os.lchmod", "os.link", "os.mkdir", "os.remove",
        "os.removexattr", "os.rename", "os.rmdir", "os.setxattr", "os.symlink", "os.truncate",
        "os.utime", "shutil.rmtree",
    ),
    "sends a signal": ("os.kill", "os.killpg", "signal.pthread_kill"),
    "asks for input": ("builtins.input",),
    "writes to the system log": ("syslog.syslog",),
}
REFUSED_EVENTS = {event: deed for deed, events in REFUSALS.items() for event in events}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

first_refusal = []


class Refused(PermissionError):
    """Stands where the deed would have been. A program that can do without it goes on."""


def deed_of(event, args):
    """What an audit event does that a description must not do, or None."""
    if event == "open":
        path, flags = args[0], args[2]
        if isinstance(path, int) or not isinstance(flags, int) or not flags & WRITING:
            return None
        path = os.fsdecode(path) if path is not None else "a file"
        return None if path == os.devnull else "opens %s for writing" % path
    if event == "sqlite3.connect":
        database = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else str(args[0])
        return None if database in ("", ":memory:") else "opens the database %s" % database
    deed = REFUSED_EVENTS.get(event)
    return deed and "%s (%s%s)" % (deed, event, first_text(args))


def first_text(args):
    """The argument that says most of an event: a path, a program, an address."""
    for value in args:
        if isinstance(value, (str, bytes, os.PathLike)):
            return " " + os.fsdecode(value)
        if isinstance(value, (tuple, list)) and value:
            return " " + " ".join(str(part) for part in value)
    return ""


def refuse(deed):
    first_refusal.append("%s before it asks its parser%s" % (deed, place()))
    raise Refused("refused while the program is asked for its options: it %s" % deed)


def place(frame=None):
    """Where in the program's own directory the running code stands: ` (cli.py, line 3)`."""
    frame = frame or sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(plugin_directory + os.sep):
            return " (%s, line %d)" % (os.path.relpath(name, plugin_directory), frame.f_lineno)
        frame = frame.f_back
    return ""


def audit(event, args):
    deed = deed_of(event, args)
    if deed:
        refuse(deed)


def close_standard_input():
    """Reading it is refused like every other deed; asking what it is (isatty, encoding) is not."""
    import io

    class Closed(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            refuse("reads standard input")

        def fileno(self):
            return 0

    sys.stdin = io.TextIOWrapper(io.BufferedReader(Closed()), encoding="utf-8")


def bound_native_code():
    """The kernel's own limit, for code that writes without telling the interpreter."""
    import stat

    if any(stat.S_ISREG(os.fstat(number).st_mode) for number in (2, answer_descriptor)):
        return  # somebody watches by hand, into a file
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass


def guard():
    sys.dont_write_bytecode = True
    close_standard_input()
    bound_native_code()
    sys.addaudithook(audit)


def finish(status, text):
    """Ends the process without running anything of the program's: no exit hook, no destructor."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass
    # The reason is a line of its own, whatever the program printed before it.
    descriptor, text = (answer_descriptor, text) if status == SERVED else (2, "\n" + text)
    data = (text + "\n").encode("utf-8", "replace")
    try:
        while data:
            data = data[os.write(descriptor, data):]
    except OSError:
        status = FAULT
    os._exit(status)


def give_up(status, reason):
    finish(status, " ".join(reason.split())[:1000])
