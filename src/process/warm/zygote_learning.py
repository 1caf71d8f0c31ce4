"""Watches one run of the script: which modules it imports, and which of them a warm interpreter may import for it.

Safe is a module of the standard library or of an installed distribution, never a file of the plugin, that

- the top-level code of the script imports, so that every run of the script imports it; or, of the standard library,
  that its functions import when they are called, as `argparse` does with `shutil`, and
- was imported while the process was as it had started: what the script does to its environment, its search path, its
  warnings or its signals before an import may be meant for that import, and
- was imported before the code of the plugin did anything but to import and to define, for the same reason, and
- has imported no file of the plugin itself, and comes from the same place wherever it is imported, and
- has asked for no other path while it was imported than those of the standard library and of installed distributions,
  and those that can be watched: what it has found would stay as it was in all calls.
"""

import os
import sys

from zygote_order import END, effects_of
from zygote_paths import Paths
from zygote_places import IMPORTLIB, STANDARD, exists, is_installed, is_standard, origin_of, real, with_parents

# Its parsers import when they are made and used, which no program does before its imports.
ARGPARSE = os.path.join(os.path.dirname(os.__file__), "argparse.py")


class Recorder:
    """A finder that finds nothing, and an `__import__` around the real one."""

    def __init__(self, directory, locale, write):
        self.locale = locale
        self.directory = directory
        self.write = write
        self.before = frozenset(sys.modules)
        self.path = list(sys.path)
        self.finders = list(sys.meta_path)
        # module: (it may be safe, it may if it is of the standard library, the libraries that were being imported)
        self.seen = {}
        self.imports = {}  # module: what it imports while it is imported
        self.paths = Paths(lambda: self.depth, self.is_plugin)
        self.depth = 0
        self.changed = False  # the process is not as it was
        self.begun = False  # the plugin's own code has done something that cannot be seen from outside
        self.owned, self.provided = {}, {}  # file: whether it is the plugin's, or Python's or a distribution's
        self.effects = {}  # file of the plugin: where it does that
        self.unfinished = []  # modules that were looked for, and have not been imported to their end

    def install(self):
        builtins = sys.modules["builtins"]
        self.real_import = builtins.__import__
        builtins.__import__ = self.importing
        sys.meta_path.insert(0, self)
        self.paths.install()
        self.state = self.look()

    def look(self):
        """What an import may depend on."""
        signal = sys.modules["_signal"]
        mask = os.umask(0o77)
        os.umask(mask)
        path = sys.path if sys.path[: len(self.path)] == self.path else sys.path[1:]
        return (
            dict(os.environ),
            list(path),
            [finder for finder in sys.meta_path if finder is not self],
            list(sys.modules["_warnings"].filters),
            os.getcwd(),
            mask,
            self.locale.setlocale(self.locale.LC_ALL, None),
            [signal.getsignal(number) for number in range(1, signal.NSIG)],
            (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.displayhook),
            sys.dont_write_bytecode,
        )

    def importing(self, name, *rest, **more):
        """An import statement, or a call of `__import__`."""
        outermost = self.depth == 0 and self.is_plugin(sys._getframe(1))
        if outermost and not self.changed:
            self.changed = self.look() != self.state
        self.depth += outermost
        try:
            return self.real_import(name, *rest, **more)
        finally:
            self.depth -= outermost
            self.note_imports(name, *rest, **more)
            root = sys.modules.get(name.partition(".")[0])
            if outermost and not self.changed and root is not None and not self.is_own(origin_of(root)):
                # What an installed module has changed in being imported, it changes where it is preloaded as well.
                self.state = self.look()

    def note_imports(self, name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__name__")
        if not getattr((globals or {}).get("__spec__"), "_initializing", False):
            # A function's own import, which comes after that of its module.
            return
        if level:
            package = globals.get("__package__") or ""
            base = package.rsplit(".", level - 1)[0]
            name = base + "." + name if name else base
        names = self.imports.setdefault(importer, set())
        names.update(with_parents(name))
        names.update(name + "." + part for part in fromlist or ())

    def find_spec(self, name, path=None, target=None):
        frame = sys._getframe(1)
        at_top = True
        inside = []
        plugin = called = placed = does = False
        caller = ""
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith(IMPORTLIB) and frame.f_code is not self.importing.__func__.__code__:
                is_module = frame.f_code.co_name == "<module>"
                is_plugin = self.is_plugin(frame)
                if is_module and (is_plugin or file.startswith(os.sep) and not self.is_provided(file)):
                    placed = True
                    does = does or self.does_at(file, frame.f_lineno)
                if is_plugin:
                    plugin = True
                    at_top = at_top and is_module
                elif not plugin:
                    caller = file
                    # In the end, whether the outermost of these is a function that the plugin has called.
                    called = not is_module
                    if is_module:
                        inside.append(frame.f_globals.get("__name__"))
            frame = frame.f_back
        if inside:
            self.imports.setdefault(inside[0], set()).update(with_parents(name))
        # Below no module of the plugin run its threads and its functions at exit: all of it has run then.
        self.begun = self.begun or plugin and (does or not placed) or self.has_finished_one()
        if name not in self.seen:
            self.unfinished.append(name)
            may_be = plugin and not self.changed
            called = called and (not self.begun or caller == ARGPARSE)
            self.seen[name] = (may_be and at_top and not self.begun, may_be and called, inside)
        return None

    def does_at(self, file, line):
        """Whether a file of the plugin does something at this line, or has before it."""
        if file not in self.effects:
            self.effects[file] = effects_of(file)
        return any(first <= line <= last for first, last in self.effects[file])

    def has_finished_one(self):
        """Whether a module of the plugin has come to its end that does something."""
        unfinished = []
        found = False
        for name in self.unfinished:
            module = sys.modules.get(name)
            if module is None:
                # Not there, or not any more: what a file of the plugin did until it failed stays done.
                place = os.path.join(self.directory, *name.split("."))
                found = found or exists(place + ".py") or exists(place)
            elif getattr(getattr(module, "__spec__", None), "_initializing", False):
                unfinished.append(name)
            else:
                file = origin_of(module)
                if file not in ("", "built-in", "frozen") and not self.is_provided(file):
                    found = found or self.does_at(file, END)
        self.unfinished = unfinished
        return found

    def is_plugin(self, frame):
        file = frame.f_code.co_filename
        return frame.f_globals.get("__name__") == "__main__" or self.is_own(file)

    def is_own(self, file):
        """Whether this is a file of the plugin, and not of an environment that it brings along."""
        if not file or not isinstance(file, str):
            return False
        if file not in self.owned:
            place = real(file)
            self.owned[file] = place.startswith(self.directory + os.sep) and not is_installed(place)
        return self.owned[file]

    def is_provided(self, file):
        """Whether this is a file of Python or of an installed distribution."""
        if file not in self.provided:
            self.provided[file] = is_installed(file) or file.startswith(STANDARD) or is_standard(file)
        return self.provided[file]

    def report(self):
        """Writes the safe modules in the order of their imports, each with its origin and the modules that it imports.
        The last thing that this process does at exit.
        """
        sys.modules["builtins"].__import__ = self.real_import
        unsafe = set(self.paths.readers)
        for name, (_, _, inside) in self.seen.items():
            module = sys.modules.get(name)
            # A module that is not there any more, or was not found, may be found by one run and not by another:
            # only where it is a file of the plugin does it matter to those that have asked for it.
            if module is not None and not self.is_standing(module):
                unsafe.update(inside)
        safe = []
        for name, (at_top, called, inside) in self.seen.items():
            module = sys.modules.get(name)
            if module is None or not self.is_found(module) or not self.is_standing(module):
                continue
            origin = origin_of(module)
            if at_top or called and not is_installed(origin):
                if name not in unsafe and unsafe.isdisjoint(inside):
                    needed = self.imports.get(name, set()).union(with_parents(name)) - {name}
                    needed = {other for other in needed.intersection(self.seen) if self.is_found(sys.modules.get(other))}
                    safe.append([name, origin or None, sorted(needed)])
        # Entries without a name: what the server watches as well.
        self.write(safe + [[None, path, []] for path in self.paths.watched])

    def is_found(self, module):
        """Whether it was found somewhere, and not made by another module."""
        return bool(origin_of(module)) or bool(list(getattr(module, "__path__", ())))

    def is_standing(self, module):
        """Whether the module is there for every program of this interpreter."""
        origin = origin_of(module)
        if origin in ("built-in", "frozen"):
            return True
        if origin:
            return not self.is_own(origin) and (is_installed(origin) or is_standard(origin))
        # A package without a file stands where its parts do; a module without either is made by another one.
        return all(is_installed(part + os.sep) for part in getattr(module, "__path__", ()))
