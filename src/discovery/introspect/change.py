# Stands in place of the functions of the system's that take paths, until the program changes something:
# from then on they do what divert.py says.

LOOKING = (
    "stat", "lstat", "access", "listdir", "scandir", "readlink", "chdir", "getcwd", "statvfs", "listxattr", "getxattr",
)
CHANGING = (
    "mkdir", "remove", "unlink", "rmdir", "rename", "replace", "symlink", "link", "chmod", "lchmod", "chown", "lchown",
    "utime", "truncate", "setxattr", "removexattr",
)

os_originals = {}
open_original = open
own_functions = None  # what the functions do once there is a copy


class Diverted:
    """No function, so that a class may keep it as it would keep a built-in one."""

    def __init__(self, name, original, changes):
        self.name, self.original, self.changes = name, original, changes
        self.__name__ = self.__qualname__ = getattr(original, "__name__", name)
        self.__doc__, self.__module__ = original.__doc__, original.__module__

    def __call__(self, *args, **kwargs):
        if own_functions is None and not self.changes(*args, **kwargs):
            return self.original(*args, **kwargs)
        return own_function(self.name)(*args, **kwargs)


class StandsFor(type):
    """The kind of a class that is put in place of a built-in one: what is of that one is of this one as well."""

    def __instancecheck__(cls, instance):
        return type.__instancecheck__(cls, instance) or isinstance(instance, vars(cls).get("stands_for", ()))

    def __subclasscheck__(cls, other):
        return type.__subclasscheck__(cls, other) or issubclass(other, vars(cls).get("stands_for", ()))


def own_function(name):
    global own_functions
    if own_functions is None:
        exec(compile(DIVERSION, "<divert>", "exec"), globals())
        own_functions = begin_copy()
        own_functions.update(
            {"builtins.open": diverted_open, "io.FileIO": opened, "sqlite3.connect": diverted_connect}
        )
    return own_functions[name]


def always(*args, **kwargs):
    return True


def never(*args, **kwargs):
    return False


def writes(mode):
    return isinstance(mode, str) and any(letter in mode for letter in "wax+")


def opens_for_writing(file, mode="r", *args, **kwargs):
    return not isinstance(file, int) and (kwargs.get("opener") is not None or (writes(mode) and not is_harmless(file)))


def os_opens_for_writing(path, flags, *args, **kwargs):
    return bool(flags & WRITING) and not is_harmless(path)


def is_harmless(path):
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path) in HARMLESS_FILES


def connects_to_a_file(database, *args, **kwargs):
    return isinstance(database, (str, bytes, os.PathLike)) and os.fsdecode(database) not in ("", ":memory:")


def divert_changes():
    import _io
    import builtins
    import io

    if not copy_root:
        return  # what is written is refused
    os_originals["open"] = os.open
    os.open = Diverted("open", os.open, os_opens_for_writing)
    for names, changes in ((LOOKING, never), (CHANGING, always)):
        for name in [name for name in names if hasattr(os, name)]:
            os_originals[name] = getattr(os, name)
            setattr(os, name, Diverted(name, os_originals[name], changes))
    for name in ("pathlib", "tempfile"):
        if name in sys.modules:
            divert_what_is_kept(sys.modules[name])
    builtins.open = io.open = _io.open = Diverted("builtins.open", open_original, opens_for_writing)
    divert_file_io(io)


def divert_file_io(io):
    original = io.FileIO

    class FileIO(original, metaclass=StandsFor):
        __doc__, __module__, stands_for = original.__doc__, original.__module__, original

        def __init__(self, file, mode="r", closefd=True, opener=None):
            begin = super().__init__
            is_left_alone = own_functions is None and not opens_for_writing(file, mode, opener=opener)
            if is_left_alone or isinstance(file, int) or is_harmless(file):
                begin(file, mode, closefd, opener)
            else:
                own_function("io.FileIO")(begin, file, mode, opener)
                self.name = file

    io.FileIO = FileIO


def divert_what_is_kept(module):
    """What a module keeps of the functions that stood there when it was imported, before the guard."""
    by_original = {id(function.original): function for function in vars(os).values() if type(function) is Diverted}
    for kind in [kind for kind in vars(module).values() if isinstance(kind, type)]:
        for name, value in list(vars(kind).items()):
            defaults = getattr(value, "__defaults__", None)
            if id(value) in by_original:
                setattr(kind, name, by_original[id(value)])
            elif defaults:
                value.__defaults__ = tuple(by_original.get(id(default), default) for default in defaults)


def divert_sqlite(module):
    original, original_class = module.connect, module.Connection

    class Connection(original_class, metaclass=StandsFor):
        __doc__, __module__, stands_for = original_class.__doc__, original_class.__module__, original_class

        def __init__(self, *args, **kwargs):
            begin = super().__init__
            connected(lambda *place, **rest: [begin(*place, **rest), self][1], *args, **kwargs)

    def connect(*args, **kwargs):
        return connected(original, *args, **kwargs)

    module.connect, module.Connection = connect, Connection


def connected(function, database, *args, **kwargs):
    if copy_root and connects_to_a_file(database):
        return own_function("sqlite3.connect")(function, database, *args, **kwargs)
    return without_attached(function(database, *args, **kwargs))


def without_attached(connection):
    """A connection that attaches no other database: no copy can be put in its place."""
    attach, allowed, denied = 24, 0, 1  # SQLITE_ATTACH, SQLITE_OK, SQLITE_DENY

    def authorize(action, first, *rest):
        return denied if action == attach and first not in ("", ":memory:") else allowed

    connection.set_authorizer(authorize)
    return connection


def divert_dbm(module):
    """_dbm and _gdbm, whose files no audit event tells of."""
    original, name = module.open, "%s.open" % module.__name__
    module.open = refusing("changes files", name)
    if copy_root:
        module.open = lambda *args, **kwargs: [own_function("builtins.open"), diverted_dbm(original)][1](*args, **kwargs)


def settle_shutil(module):
    module._use_fd_functions = False  # a directory that is only open has no path that could be diverted


def settle_socket(module):
    original = module.socket.connect_ex

    def connect_ex(self, address):
        try:
            return original(self, address)
        except OSError as error:
            if isinstance(error, Refused):
                return error.errno
            raise

    module.socket.connect_ex = connect_ex


SEMAPHORE_BYTES = 64


def settle_semaphores(module):
    """_multiprocessing, whose semaphores begin as small files that are gone once they are open."""
    original = module.SemLock

    class SemLock(original):
        def __new__(cls, *args, **kwargs):
            unlinks = kwargs.get("unlink", args[4] if len(args) > 4 else False)
            if not unlinks:
                refuse("makes a semaphore that stays", "changes files")
            return with_room(SEMAPHORE_BYTES, lambda: original.__new__(cls, *args, **kwargs))

    module.SemLock = SemLock
