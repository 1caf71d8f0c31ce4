"""Says in one number what values a module holds, so that two processes that import the same can be compared.

What differs belongs to one process or one moment: the time, a process number, random bytes, a key. It does not matter
who has made it, Python or a native library.
"""

import sys

from zygote_places import is_installed

BOOTSTRAP = sys.modules["_frozen_importlib"]
MAX_VALUES = 20000  # of one module; what is beyond is not compared
MAX_DEPTH = 12
MIN_ADDRESS = 1 << 20
# What a module has that tells where it is, and not what it holds.
MADE_BY_IMPORT = ("__builtins__", "__cached__", "__file__", "__loader__", "__path__", "__spec__", "__warningregistry__")
MADE_BY_CLASS = ("__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "_abc_impl")
# Of Python's own classes, those whose objects are values. Others tell of the process: loggers, threads, streams.
VALUES = frozenset(
    "argparse array ast collections contextvars copy decimal enum fractions functools inspect ipaddress itertools "
    "operator pathlib random re string types typing uuid zoneinfo".split()
)
# In the name of a class that cannot be looked into: its objects hold what must not be the same in two calls.
SECRET = ("privatekey", "secretkey", "signingkey", "keypair", "cipher", "aead", "aesgcm", "aesccm", "aessiv", "chacha",
          "fernet", "bitgenerator", "randomstate", "generator")  # fmt: skip
# Its generators are seeded anew in each fork.
RENEWED = "numpy.random"


class Parts:
    __slots__ = ("one",)


Function = type(lambda: 0)
FUNCTIONS = (Function, type(len))
Cell = type((lambda value: lambda: value)(0).__closure__[0])
Member = type(Parts.one)
Module = type(sys)
module_of = type.__dict__["__module__"].__get__
names_of = type.__dict__["__dict__"].__get__


class Values:
    """Collects the number of each installed module when its import has come to its end."""

    def __init__(self):
        self.digests = {}  # module: its number, or None for one that holds a secret
        # Kept, so that no address is used twice: what one module has shown, those that import it do not show again.
        self.seen = {id(sys.modules): sys.modules}

    def __enter__(self):
        self.real = BOOTSTRAP._load_unlocked
        BOOTSTRAP._load_unlocked = self.load
        return self

    def __exit__(self, *_):
        BOOTSTRAP._load_unlocked = self.real

    def load(self, spec):
        module = self.real(spec)
        if isinstance(spec.origin, str) and is_installed(spec.origin):
            number = self.digest(spec.name, module)
            if not spec.name.startswith(RENEWED):
                self.digests[spec.name] = number
        return module

    def digest(self, name, module):
        self.name, self.left, self.is_secret, self.sum, self.mapped = name, MAX_VALUES, False, 0, None
        self.in_set = False
        names = getattr(module, "__dict__", None)
        if type(names) is dict:
            for key, value in list(names.items()):
                if key not in MADE_BY_IMPORT:
                    self.add(key)
                    self.put(value, 0)
        return None if self.is_secret else self.sum

    def add(self, value):
        # Both processes are forks of one, so both have the same seed.
        self.sum = hash((self.sum, value))

    def put(self, value, depth):
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            return
        kind = type(value)
        if kind is str:
            # A description that `repr` has made.
            self.add(value if " at 0x" not in value else "")
        elif kind is int:
            self.add(0 if value > MIN_ADDRESS and self.is_address(value) else value)
        elif kind is float:
            self.add(value if value == value else "nan")
        elif kind is complex:
            self.add(repr(value))
        elif kind in (bytes, bool, type(None), type(Ellipsis)):
            self.add((kind.__name__, value))
        elif self.in_set or self.is_elsewhere(value, kind):
            # In an order of addresses, what was seen before what is by chance.
            self.add("function" if kind in FUNCTIONS else kind.__name__)
            if self.in_set and kind in (tuple, frozenset):
                self.put_value(value, kind, depth + 1)
        elif id(value) in self.seen:
            self.add("seen")
        else:
            self.seen[id(value)] = value
            self.add("function" if kind in FUNCTIONS else kind.__name__)
            self.put_object(value, kind, depth + 1)

    def is_elsewhere(self, value, kind):
        """Whether it is a function or a class of another module, or one that was seen before."""
        if kind is Function:
            return value.__module__ != self.name or id(value) in self.seen
        return issubclass(kind, type) and (module_of(value) != self.name or id(value) in self.seen)

    def put_object(self, value, kind, depth):
        if kind is Function:
            for part in (value.__defaults__, value.__kwdefaults__, value.__closure__, value.__dict__ or None):
                self.put(part, depth)
        elif kind is Cell:
            try:
                self.put(value.cell_contents, depth)
            except ValueError:
                pass
        elif issubclass(kind, type):
            self.put_names(names_of(value), depth)
        elif kind in (staticmethod, classmethod):
            self.put(value.__func__, depth)
        elif kind is property:
            for part in (value.fget, value.fset):
                self.put(part, depth)
        elif not issubclass(kind, Module):
            self.put_value(value, kind, depth)

    def put_names(self, names, depth):
        # Libraries in Rust fill classes in another order in each process.
        for key, value in sorted(names.items(), key=lambda item: item[0] if type(item[0]) is str else ""):
            if key not in MADE_BY_CLASS and type(value) is not Member:
                self.add(key)
                self.put(value, depth)

    def put_value(self, value, kind, depth):
        """An object: what is in it by its kind, and its attributes."""
        home = module_of(kind)
        home = home.partition(".")[0] if isinstance(home, str) else ""
        # By the class of Python itself, whatever one of a package has made of it.
        if issubclass(kind, dict):
            for key, item in list(dict.items(value)):
                self.put(key, depth)
                self.put(item, depth)
        elif issubclass(kind, (list, tuple)):
            for item in (list if issubclass(kind, list) else tuple).__iter__(value):
                self.put(item, depth)
        elif issubclass(kind, (set, frozenset)):
            self.put_set(value, depth)
        elif issubclass(kind, (str, bytes, int, float)):
            base = next(base for base in (str, bytes, int, float) if issubclass(kind, base))
            self.put(base.__getnewargs__(value)[0], depth)
        elif issubclass(kind, bytearray):
            self.add(bytes(value))
        elif self.is_of("datetime", kind, ("date", "time", "timedelta", "timezone")):
            self.add(repr(value))
        elif self.is_of("random", kind, ("Random",)):
            try:
                self.put(value.getstate(), depth)
            except NotImplementedError:
                pass
        elif self.is_of("collections", kind, ("deque",)):
            self.put(list(value), depth)
        elif self.is_of("functools", kind, ("partial",)):
            self.put((value.func, value.args, value.keywords), depth)
        if home in VALUES or is_installed(self.file_of(kind)):
            if not self.put_attributes(value, kind, depth) and home not in VALUES:
                word = kind.__name__.lower()
                self.is_secret = self.is_secret or any(part in word for part in SECRET)

    def put_attributes(self, value, kind, depth):
        """Whether the object could be looked into."""
        try:
            names = object.__getattribute__(value, "__dict__")
        except Exception:
            names = None
        open_to_view = type(names) is dict
        if open_to_view:
            self.put(names, depth)
        for base in type.__dict__["__mro__"].__get__(kind):
            parts = names_of(base)
            if "__slots__" not in parts:
                continue
            for name, member in list(parts.items()):
                if type(member) is Member:
                    open_to_view = True
                    try:
                        self.add(name)
                        self.put(member.__get__(value), depth)
                    except AttributeError:
                        pass
        return open_to_view

    def put_set(self, values, depth):
        before, sums, in_set, self.in_set = self.sum, [], self.in_set, True
        for value in list(values):
            self.sum = 0
            self.put(value, depth)
            sums.append(self.sum)
        self.sum, self.in_set = hash((before, tuple(sorted(sums)))), in_set

    def is_of(self, module, kind, names):
        module = sys.modules.get(module)
        classes = tuple(filter(None, (getattr(module, name, None) for name in names)))
        return bool(classes) and issubclass(kind, classes)

    def file_of(self, kind):
        """Where the module of a class is; that of one in a native library is often not named as it is imported."""
        name = module_of(kind)
        while isinstance(name, str) and name:
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str):
                return file
            name = name.rpartition(".")[0]
        return ""

    def is_address(self, number):
        if self.mapped is None:
            with open("/proc/self/maps", "rb") as file:
                ranges = [line.partition(b" ")[0].partition(b"-") for line in file]
            self.mapped = [(int(first, 16), int(last, 16)) for first, _, last in ranges]
        return any(first <= number < last for first, last in self.mapped)
