"""Notices which paths an installed module asks for while it is imported: what it finds there is what all calls find.

What lies in the system's own directories changes with the system, and what is not there can only appear: such paths are
watched. Any other file or directory may be another one in the next call, so who asks for it is not shared.
"""

import os
import sys

from zygote_places import ALWAYS_THERE, IMPORTLIB, is_installed, is_standard, quiet

MAX_WATCHED = 256
SYSTEM = ("/usr/", "/etc/", "/lib", "/bin/", "/sbin/", "/opt/") + tuple(
    {os.path.realpath(prefix) + os.sep for prefix in (sys.prefix, sys.base_prefix)}
    | {prefix + os.sep for prefix in (sys.prefix, sys.base_prefix)}
)
ASKING = ("stat", "lstat", "access")
LISTING = ("os.listdir", "os.scandir")


class Asking:
    """One of the functions of `os` that raise no audit event. No function, since classes keep it as an attribute."""

    def __init__(self, real, paths):
        self.real, self.paths = real, paths

    def __call__(self, path, *more, **named):
        self.paths.notice("ask", path)
        return self.real(path, *more, **named)

    # In `os.supports_follow_symlinks` and the like it is the real one.
    def __eq__(self, other):
        return self.real == other

    def __hash__(self):
        return hash(self.real)

    def __getattr__(self, name):
        return getattr(self.real, name)


class Paths:
    """The paths that were asked for, and the modules that cannot be shared for it."""

    def __init__(self, is_importing, is_plugin):
        self.is_importing, self.is_plugin = is_importing, is_plugin
        self.watched = {}
        self.readers = set()

    def install(self):
        asking = {name: Asking(getattr(os, name), self) for name in ASKING}
        # Until Python 3.10 the module has functions of its own from the time it was imported.
        accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)
        for name, function in asking.items():
            setattr(os, name, function)
            if accessor is not None and name in vars(accessor):
                setattr(accessor, name, function)
        sys.addaudithook(self.audit)

    def audit(self, event, arguments):
        if event == "open":
            self.notice("open" if is_read(*arguments[1:3]) else "write", arguments[0])
        elif event in LISTING:
            self.notice("list", arguments[0])

    def notice(self, event, path):
        if self.is_importing() and not quiet.depth:
            with quiet:
                self.note(event, path, sys._getframe(2))

    def note(self, event, path, frame):
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str) and hasattr(path, "__fspath__"):
            path = path.__fspath__()
        if path is None:
            path = "."
        if not isinstance(path, str) or path in sys.path or frame.f_code.co_filename.startswith(IMPORTLIB):
            return
        if not path.startswith(os.sep):
            path = os.path.join(os.getcwd(), path)
        path = os.path.normpath(path)
        if is_installed(path + os.sep) or (path + os.sep).startswith(ALWAYS_THERE) or path in sys.path:
            return
        module = self.innermost(frame)
        if module is not None and not is_standard(path + os.sep):
            self.keep(event, path, module)

    def innermost(self, frame):
        """The installed module that is being imported; None where the plugin's own code has asked."""
        while frame is not None and not self.is_plugin(frame):
            if frame.f_code.co_name == "<module>" and is_installed(frame.f_code.co_filename):
                return frame.f_globals.get("__name__")
            frame = frame.f_back
        return None

    def keep(self, event, path, module):
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):
            mode = None
        # A directory that is only asked for stays one; its times change with each file in it.
        is_directory = mode is not None and mode >> 12 == 4
        if event == "ask" and is_directory:
            return
        is_watchable = mode is None or path.startswith(SYSTEM)
        if event != "write" and is_watchable and is_text(path) and len(self.watched) < MAX_WATCHED:
            self.watched[path] = None
        elif path not in self.watched:
            self.readers.add(module)


def is_read(mode=None, flags=0):
    """Whether a file is opened to be read, as `open` or as `os.open` says it."""
    if isinstance(mode, str):
        return not set("wax+").intersection(mode)
    return not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)


def is_text(path):
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
