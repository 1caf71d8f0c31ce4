"""One interpreter from which many scripts are asked what they can do, each in a fork of its own.

It has no script: its command line names a link in the server's private directory, and the link leads to a descriptor
that is open in no process but a fork. There it holds the code of the script that the order names, as Python keeps
compiled code in a file. The interpreter opens, reads and runs it by itself, so that no frame is below the script. What
an interpreter derives from the name on its command line is put right in the last moment before the script runs, when
the interpreter tells its audit hooks that it reads code: the first entry of `sys.path`, `__file__`, `__loader__`.

Modules that are imported in advance are in `sys.modules` only if the script imports them before it does anything else;
all others are imported anew, as by any process.
"""

import marshal
import os
import sys

from zygote_exercise import exercise
from zygote_ending import Ending
from zygote_places import READ_BY_LIBRARIES, is_standard, origin_of, with_parents

# What most programs import, and what costs most of their start. All of it is Python's own.
MODULES = ("argparse", "json", "re", "random", "hashlib", "datetime", "pathlib", "typing")

# Below those numbers that the forks use for other things.
CODE = 63

# What instructions of a script do that only imports modules, and keeps constants under names.
HARMLESS = (
    "RESUME NOP CACHE EXTENDED_ARG LOAD_CONST LOAD_SMALL_INT STORE_NAME POP_TOP IMPORT_FROM SWAP ROT_TWO"
    " SETUP_ANNOTATIONS"
).split()

# These are read when the interpreter starts and change nothing of what a module is, or are none of the interpreter's.
PLAIN_VARIABLES = frozenset(
    "PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONIOENCODING PYTHONUTF8 PYTHONHASHSEED PYTHONNOUSERSITE"
    " PYTHON_COLORS PYTHON_VERSION PYTHON_SHA256 PYTHON_PIP_VERSION PYTHON_SETUPTOOLS_VERSION PYTHON_GET_PIP_URL"
    " PYTHON_GET_PIP_SHA256".split()
)


class NotPlain(Exception):
    """Something here may change what is imported, or the script cannot be run in a fork."""


class Common:
    """What has been imported in advance, and how a fork becomes the process of one script."""

    # Variables that the interpreter or a library may have read.
    starts = tuple(READ_BY_LIBRARIES)

    def __init__(self, link, hidden):
        look_around()
        self.link = link
        self.script = None
        opcodes = hidden("opcode")
        self.harmless = frozenset(opcodes.opmap[name] for name in HARMLESS if name in opcodes.opmap)
        self.import_name, self.extended = opcodes.opmap["IMPORT_NAME"], opcodes.opmap["EXTENDED_ARG"]
        before, places = set(sys.modules), set(sys.path_importer_cache)
        edges = import_all()
        # The directories of packages in which modules were looked for.
        self.places = set(sys.path_importer_cache) - places - set(sys.path)
        self.shared = [name for name in sys.modules if name not in before]
        for name in self.shared:
            origin = origin_of(sys.modules[name])
            if origin not in ("built-in", "frozen", "") and not is_standard(origin):
                raise NotPlain("%s comes from %s" % (name, origin))
        self.needs = {name: needs_of(name, edges) - before for name in self.shared}
        self.standard = getattr(sys, "stdlib_module_names", None) or frozenset(sys.modules)
        sys.addaudithook(self.audit)
        Ending().prepare()

    def take(self, arguments, command):
        """Becomes the process of the script that is named first of `arguments`; its command line so far."""
        interpreter, script = arguments[:2]
        if interpreter != command[0] or not script.startswith(b"/"):
            raise NotPlain("another interpreter, or a script that is found from the working directory")
        path = os.fsdecode(script)
        directory = os.path.dirname(os.path.realpath(path))
        code = compiled(path)
        self.hide_others(code, directory)
        self.show(code)
        sys.argv[0] = path
        if hasattr(sys, "orig_argv"):
            sys.orig_argv[1] = path
        self.directory, self.script = directory, path
        return [interpreter, script]

    def hide_others(self, code, directory):
        """Takes out of `sys.modules` what the script does not import before anything else."""
        local = {name.partition(".")[0] for name in os.listdir(directory)}
        kept = set()
        for name in self.leading_imports(code):
            root = name.partition(".")[0]
            if root in local or root not in self.standard:
                break
            needs = self.needs.get(name, ())
            if local.isdisjoint(need.partition(".")[0] for need in needs):
                kept.update(needs)
        self.kept, modules = kept, sys.modules
        for name in self.shared:
            if name not in kept:
                module = modules.pop(name)
                parent, _, child = name.rpartition(".")
                if parent and vars(modules.get(parent, sys)).get(child) is module:
                    delattr(modules[parent], child)
        packages = {name.rpartition(".")[0] for name in kept} - {""}
        for place in self.places.difference(*(modules[name].__path__ for name in packages)):
            sys.path_importer_cache.pop(place, None)

    def leading_imports(self, code):
        instructions, wide = code.co_code, 0
        for at in range(0, len(instructions), 2):
            operation, argument = instructions[at], wide | instructions[at + 1]
            wide = argument << 8 if operation == self.extended else 0
            if operation == self.import_name:
                yield code.co_names[argument]
            elif operation not in self.harmless:
                return

    def show(self, code):
        """Has the interpreter find the code where its command line says that the script is."""
        descriptor = os.memfd_create("script")
        # The version, no flags, and neither the time nor the size of a source: nobody compares them.
        data = MAGIC + bytes(12) + marshal.dumps(code)
        while data:
            data = data[os.write(descriptor, data) :]
        os.dup2(descriptor, CODE, False)
        os.close(descriptor)

    def audit(self, event, _):
        if self.script is not None and event in ("marshal.loads", "code.__new__"):
            main = vars(sys.modules["__main__"])
            # Not before: what is imported at the start is read in the same way.
            if main.get("__file__") == self.link:
                self.settle(main)

    def settle(self, main):
        """In the last moment before the script runs: makes everything what it is where the script is on the command
        line."""
        script, self.script = self.script, None
        os.close(CODE)
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = self.directory
        sys.path_importer_cache.pop(self.link, None)
        sys.path_importer_cache[script] = None
        if self.kept:
            # They would have been looked for there first.
            PATHS._path_importer_cache(self.directory)
        main["__file__"] = script
        main["__loader__"] = LOADER("__main__", script)


# The interpreter's own, without the package around them.
IMPORTER = sys.modules["_frozen_importlib_external"]
LOADER, MAGIC, PATHS = IMPORTER.SourceFileLoader, IMPORTER.MAGIC_NUMBER, IMPORTER.PathFinder


def look_around():
    """Raises `NotPlain` where another process of this interpreter may import something else."""
    if sys.version_info < (3, 9):
        raise NotPlain("it is Python %d.%d, which ends otherwise where modules are imported anew" % sys.version_info[:2])
    for name in os.environ:
        if name.startswith("PYTHON") and name not in PLAIN_VARIABLES:
            raise NotPlain("%s is set" % name)
    for name in ("sitecustomize", "usercustomize"):
        found = PATHS.find_spec(name)
        # That of a system's own Python comes with it, and is run in each fork.
        if found is not None and os.path.dirname(found.origin or "") != os.path.dirname(os.__file__):
            raise NotPlain("there is a %s" % name)


def import_all():
    """Imports the modules; which module has imported which, when it was imported or used."""
    builtins = sys.modules["builtins"]
    real, edges = builtins.__import__, {}
    start = vars(sys.modules["sitecustomize"])

    def noting(name, globals=None, locals=None, fromlist=(), level=0):
        module = real(name, globals, locals, fromlist, level)
        if level and globals:
            package = globals["__package__"].split(".")
            base = ".".join(package[: len(package) - level + 1])
            name = base + "." + name if name else base
        seen = edges.setdefault(importer(globals or {}), set())
        seen.add(name)
        seen.update("%s.%s" % (name, each) for each in fromlist or ())
        return module

    def importer(globals):
        """The module that is being imported: what its top-level code has others import is its own need. Where there is
        none, the module whose function is used."""
        frame = sys._getframe(2)
        while frame.f_code.co_name != "<module>":
            frame = frame.f_back
        return globals.get("__name__") if frame.f_globals is start else frame.f_globals.get("__name__")

    builtins.__import__ = noting
    try:
        for name in MODULES:
            before = set(sys.modules)
            __import__(name)
            # Whatever was imported in another way.
            edges.setdefault(name, set()).update(set(sys.modules) - before)
        exercise()
    finally:
        builtins.__import__ = real
    return edges


def needs_of(name, edges):
    """The module itself and all that it imports, as far as they are there."""
    found, left = set(), [name]
    while left:
        for each in with_parents(left.pop()):
            if each in sys.modules and each not in found:
                found.add(each)
                left.extend(edges.get(each, ()))
    return found


def compiled(path):
    """The code of a script. What Python would say while it compiles it, it shall say itself, so that is a reason to
    raise."""
    with open(path, "rb") as file:
        source = file.read()
    warnings = sys.modules.get("warnings") or sys.modules["_warnings"]
    mutated = sys.modules["_warnings"]._filters_mutated
    warnings.filters.insert(0, ("error", None, Warning, None, 0))
    mutated()
    try:
        return compile(source, path, "exec", dont_inherit=True)
    finally:
        del warnings.filters[0]
        mutated()
