# Keeps a watched program from working: what it may not do before its parser is asked.
#
# Knows no parser. The whole embedded program is one namespace: guard.py, change.py, streams.py,
# watch.py and start.py in this order, with divert*.py compiled once the program writes, and payload.py
# and the readers once a parser is asked. It imports next to nothing, so that a program finds its own
# modules even where they are named like the standard library's.
#
# What it writes is led into a private copy (change.py); what then still reaches the system is refused.
#
# It guards against programs that work when they are loaded, not against malice.

import _thread
import errno
import os
import sys

SERVED, FAULT, REFUSED, NOT_ASKED, TOO_OLD, NO_DESCRIBE, HANGS = 0, 1, 3, 4, 5, 6, 7

# Events by what a person would call them. Writing to the private copy is exempt (`permit`). Reading files, listing
# directories, importing, threads and loading native libraries are left alone: programs need them to be loaded at all.
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

# Functions that no audit event tells of, by module. They are replaced.
UNTOLD = {
    "starts a process": {"_posixsubprocess": ("fork_exec",)},
    "changes files": {
        "posix": ("mkfifo", "mknod"),
    },
    "sends a signal": {"_signal": ("pidfd_send_signal",), "signal": ("pidfd_send_signal",)},
}

# Names of the C library that ctypes may not look up. `ctypes.dlopen` itself stays allowed.
NATIVE_DEEDS = {
    "starts a process": (
        "system popen fork vfork forkpty clone clone3 daemon syscall execl execle execlp execv execve execvp "
        "execvpe execveat fexecve posix_spawn posix_spawnp"
    ),
    "uses the network": "accept bind connect getaddrinfo gethostbyname listen send sendmmsg sendmsg sendto",
    "changes files": (
        "open open64 openat openat64 creat creat64 fopen fopen64 freopen freopen64 mkdir mkdirat mkdtemp mkfifo "
        "mkfifoat mknod mknodat mkostemp mkstemp shm_open unlink unlinkat remove rmdir rename renameat renameat2 "
        "link linkat symlink symlinkat truncate truncate64 ftruncate ftruncate64 chmod fchmod fchmodat chown "
        "fchown lchown fchownat utime utimes utimensat futimens setxattr lsetxattr fsetxattr removexattr mount "
        "umount umount2 chroot pivot_root"
    ),
    "sends a signal": "kill killpg tgkill tkill sigqueue pidfd_send_signal",
}
NATIVE_NAMES = {name: deed for deed, names in NATIVE_DEEDS.items() for name in names.split()}

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
MAX_WRITTEN = 16 << 20  # bytes of one file in the private copy
HARMLESS_FILES = (os.devnull, "/dev/full", "/dev/stderr", "/dev/stdout", "/dev/zero")
LOOPBACK = ("127.0.0.1", "::1", "localhost")

refusals = []
permit = _thread._local()


class Refused:
    """Stands where the deed would have been, as the error that a program expects there. One that can do without it
    goes on."""

    reason = ""


class ChangeRefused(Refused, PermissionError):
    number = errno.EPERM


class ProcessRefused(Refused, FileNotFoundError):
    number = errno.ENOENT  # as if the program were not installed


class NetworkRefused(Refused, ConnectionRefusedError):
    number = errno.ECONNREFUSED


class StorageRefused(Refused, OSError):
    number = errno.ENOSPC


ERRORS = {"starts a process": ProcessRefused, "uses the network": NetworkRefused, "full": StorageRefused}


def error_of(kind, event):
    """The class of the error that stands for a refusal."""
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"):
        from _socket import gaierror  # there already: the event is its

        return type("NameRefused", (Refused, gaierror), {"number": -3})  # EAI_AGAIN
    return ERRORS.get(kind, ChangeRefused)


def refusal_for(event, args):
    """What an audit event does that a description must not do and what kind of deed that is, or None."""
    if event == "open":
        return writing_of(args[0], args[2])
    if event == "ctypes.dlsym":
        name = args[1] if isinstance(args[1], str) else ""
        kind = NATIVE_NAMES.get(name)
        return kind and ("%s (ctypes %s)" % (kind, name), kind)
    if event == "sqlite3.connect":
        database = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else str(args[0])
        return None if database in ("", ":memory:") else ("opens the database %s" % database, "changes files")
    kind = REFUSED_EVENTS.get(event)
    if kind is None or stays_inside(event, args):
        return None
    return "%s (%s%s)" % (kind, event, first_text(args)), kind


def writing_of(path, flags):
    if isinstance(path, int) or not isinstance(flags, int) or not flags & WRITING:
        return None
    path = os.fsdecode(path) if path is not None else "a file"
    return None if path in HARMLESS_FILES else ("opens %s for writing" % path, "changes files")


def stays_inside(event, args):
    """Whether an event does nothing to anybody: libraries try so whether there is IPv6, or whether a process lives."""
    if event == "os.kill":
        return args[1] == 0
    if event == "shutil.rmtree":
        return bool(copy_root)  # each file that it removes is diverted
    if event.startswith("os.") and own_functions is not None and isinstance(args[0], int):
        return is_kept(args[0])
    if event == "socket.bind":
        address = args[1]
        return isinstance(address, tuple) and address[:1] and address[0] in LOOPBACK and address[1] == 0
    if event == "socket.getaddrinfo":
        host = args[0]
        host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        return host is None or host in LOOPBACK
    return False


def first_text(args):
    """The argument that says most of an event: a path, a program, an address."""
    for value in args:
        if isinstance(value, (str, bytes, os.PathLike)):
            return " " + os.fsdecode(value)
        if isinstance(value, (tuple, list)) and value:
            return " " + " ".join(str(part) for part in value)
    return ""


def refuse(deed, kind="", event=""):
    error = error_of(kind, event)
    refused = error(error.number, "refused while the program is asked for its options: it %s" % deed)
    refused.reason = note_refusal(deed)
    raise refused


def note_refusal(deed):
    reason = "%s before it asks its parser%s" % (deed, place())
    refusals.append(reason)
    return reason


def refusal_behind(error):
    """The refusal that made a program end so, which may stand behind an error of its own; None where it is none."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, Refused):
            return error
        error = error.__cause__ or error.__context__
    return None


def place(frame=None):
    """Where the running code stands: ` (cli.py, line 3)`, or ` (some/library.py, line 9, from cli.py, line 3)`."""
    frame, library = frame or sys._getframe(), ""
    while frame is not None:
        name, line = frame.f_code.co_filename, frame.f_lineno
        if is_of_plugin(name):
            own = "%s, line %d" % (os.path.relpath(name, plugin_directory), line)
            return " (%s, from %s)" % (library, own) if library else " (%s)" % own
        if not library and "-packages" + os.sep in name:
            library = "%s, line %d" % (name.rsplit("-packages" + os.sep, 1)[1], line)
        frame = frame.f_back
    return " (%s)" % library if library else ""


def is_of_plugin(name):
    """Whether a file is one of the plugin's own, and not one that is installed below its directory."""
    return name.startswith(plugin_directory + os.sep) and "-packages" + os.sep not in name


def audit(event, args):
    deed = None if getattr(permit, "on", False) else refusal_for(event, args)
    if deed:
        refuse(*deed, event=event)


def refusing(kind, name):
    def refused(*args, **kwargs):
        refuse("%s (%s%s)" % (kind, name, first_text(args)), kind)

    return refused


def no_shell(command):
    """os.system, which raises nothing when there is no such program."""
    note_refusal("starts a process (os.system %s)" % os.fsdecode(command))
    return 127 << 8


def close_untold(module):
    """Replaces what a module can do without an audit event."""
    known_as = "os" if module.__name__ == "posix" else module.__name__
    for deed, modules in UNTOLD.items():
        for name in modules.get(module.__name__, ()):
            if hasattr(module, name):
                setattr(module, name, refusing(deed, "%s.%s" % (known_as, name)))
            if known_as == "os" and hasattr(os, name):
                setattr(os, name, getattr(module, name))
    if known_as == "os":
        module.system = os.system = no_shell


def close_untold_now():
    import _posixsubprocess
    import _signal
    import posix

    for module in (posix, _posixsubprocess, _signal, sys.modules.get("signal")):
        if module is not None:
            close_untold(module)


def bound_native_code():
    """The kernel's own limit, for code that writes without telling the interpreter."""
    import stat

    if any(stat.S_ISREG(os.fstat(number).st_mode) for number in (2, answer_descriptor)):
        return  # somebody watches by hand, into a file
    limit_files(0)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):
        pass


def limit_files(most):
    try:
        import resource

        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        ceiling = MAX_WRITTEN if hard == resource.RLIM_INFINITY else min(hard, MAX_WRITTEN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (min(most, ceiling), ceiling))
    except (ImportError, ValueError, OSError):
        pass


def with_room(least, work):
    """What `work` gives while native code may write this much to a file."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if soft != 0:
        return work()
    resource.setrlimit(resource.RLIMIT_FSIZE, (least, hard))
    try:
        return work()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def guard():
    sys.dont_write_bytecode = True
    close_standard_input()
    keep_what_is_printed()
    bound_native_code()
    close_untold_now()
    divert_changes()
    sys.addaudithook(audit)
