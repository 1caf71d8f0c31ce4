"""Notices that an installed module looks at the program while it is imported: at its arguments or its `__main__`.

Where modules are imported in advance there are no arguments yet, and `__main__` is empty.
"""

import sys

from zygote_places import is_installed

READING = (
    "__add__ __contains__ __eq__ __ge__ __gt__ __iter__ __le__ __len__ __lt__ __mul__ __ne__ __repr__ __reversed__ "
    "__rmul__ copy count index pop"
).split()
# What the import itself and every look through `sys.modules` asks for.
HARMLESS = ("__class__", "__name__", "__warningregistry__")


class Program:
    """While it is entered, the arguments and `__main__` are stand-ins; `note` is told who reads what."""

    def __init__(self, note):
        self.places = [("sys." + name, vars(sys), name) for name in ("argv", "orig_argv") if hasattr(sys, name)]
        self.places.append(("__main__", sys.modules, "__main__"))
        self.note = note

    def __enter__(self):
        self.real = [holder.get(key) for _, holder, key in self.places]
        self.standing = []
        for (name, holder, key), real in zip(self.places, self.real):
            holder[key] = stand_in(name, real, self.seen) if real is not None else None
            self.standing.append(holder[key])
        # Of each: this list, the dictionary that it stands in, and the argument of the function that counts.
        self.known = [sys.getrefcount(each) for each in self.standing]
        return self

    def __exit__(self, *_):
        now = [sys.getrefcount(each) for each in self.standing]
        for (_, holder, key), real in zip(self.places, self.real):
            if real is not None:
                holder[key] = real
            else:
                holder.pop(key, None)
        self.kept = [name for (name, _, _), old, new in zip(self.places, self.known, now) if new > old]
        del self.standing

    def seen(self, name, is_direct):
        frame = sys._getframe(3)
        while frame is not None:
            if is_installed(frame.f_code.co_filename):
                self.note(frame.f_globals.get("__name__"), "reads " + name)
                return
            # Python's own tools look through all modules.
            if is_direct:
                return
            frame = frame.f_back


def stand_in(name, real, seen):
    if isinstance(real, list):
        return Arguments(name, real, seen)
    return Main(name, real, seen)


class Arguments(list):
    """Those of the process; notes who looks at more of them than the words that are there in every call."""

    def __init__(self, name, real, seen):
        list.__init__(self, real)
        self.seen = lambda: seen(name, False)

    def __getitem__(self, index):
        if not isinstance(index, int) or not 0 <= index < list.__len__(self):
            self.seen()
        return list.__getitem__(self, index)


def reading(name):
    method = getattr(list, name)

    def noted(self, *given):
        self.seen()
        return method(self, *given)

    return noted


for name in READING:
    setattr(Arguments, name, reading(name))


class Main(type(sys)):
    """Notes what is asked of `__main__`."""

    def __init__(self, name, real, seen):
        type(sys).__init__(self, name)
        names = object.__getattribute__(self, "__dict__")
        names.update(vars(real))
        names["_seen"] = lambda: seen(name, True)

    def __getattribute__(self, name):
        if name not in HARMLESS:
            object.__getattribute__(self, "__dict__")["_seen"]()
        return object.__getattribute__(self, name)
