#!/usr/bin/env python3
"""Imports what prints, reads, counts, fails and finds itself."""
import importlib
import importlib.util
import os
import runpy
import sys
import zipfile

import noisy
import package.inner
from package import CONSTANT, late


def case_noise():
    print(noisy.COUNT, noisy.TEXT, noisy.MAIN, noisy.ARGUMENTS == sys.argv, noisy.DIRECTORY == os.getcwd())


def case_package():
    print(package.__path__, package.__name__, package.inner.__package__, CONSTANT, late(), sorted(vars(package))[:4])


def case_relative():
    from . import inner  # noqa: F401


def case_attribute():
    print(package.computed, hasattr(package, "none"))
    from package import none  # noqa: F401


def case_circular():
    import circular_one

    print(circular_one.VALUE)


def case_fails_once():
    for _ in range(2):
        try:
            import failing  # noqa: F401
        except RuntimeError as fault:
            print(fault, "failing" in sys.modules)
    import failing  # noqa: F401


def case_exits():
    import leaving  # noqa: F401


def case_namespace():
    os.mkdir("spread")
    with open("spread/part.py", "w") as file:
        file.write("print(__name__, __package__)\n")
    sys.path.append(os.getcwd())
    import spread.part

    print(type(spread.__path__).__name__, spread.__file__ if hasattr(spread, "__file__") else "none")


def case_archive():
    with zipfile.ZipFile("archive.zip", "w") as archive:
        archive.writestr("packed.py", "print(__file__.rpartition('/')[2], type(__loader__).__name__)\n")
    sys.path.insert(0, "archive.zip")
    import packed  # noqa: F401

    print([key for key in sys.path_importer_cache if "archive" in key])


def case_new_file():
    with open("made.py", "w") as file:
        file.write("VALUE = 1\n")
    sys.path.insert(0, "")
    importlib.invalidate_caches()
    import made

    print(made.VALUE, made.__file__ == os.path.join(os.getcwd(), "made.py"), made.__cached__.startswith(os.getcwd()))


def case_run_path():
    with open("script.py", "w") as file:
        file.write("import sys\nprint(__name__, __file__, sys.argv[0] == __file__)\nRESULT = 3\n")
    print(runpy.run_path("script.py", run_name="__main__")["RESULT"], sys.modules["__main__"].__name__)


def case_run_module():
    print(runpy.run_module("package.inner", run_name="other", alter_sys=True)["NAME"])


def case_run_standard():
    sys.argv[1:] = ["-c", "json.tool"]
    try:
        runpy.run_module("calendar", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        print(ended.code)


def case_main_as_module():
    import cli

    print(cli is sys.modules["__main__"], cli.__name__, cli.__spec__.name, cli.__spec__.origin, noisy.COUNT)


def case_own_finder():
    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.startswith("imaginary"):
                print("asked for", name)
                return importlib.util.spec_from_loader(name, Finder)

        @staticmethod
        def create_module(spec):
            return None

        @staticmethod
        def exec_module(module):
            module.VALUE = 7

    sys.meta_path.insert(0, Finder)
    import imaginary

    print(imaginary.VALUE, imaginary)


def case_own_import():
    import builtins

    real = builtins.__import__

    def loud(name, *rest, **named):
        print("import", name)
        return real(name, *rest, **named)

    builtins.__import__ = loud
    import json  # noqa: F401
    from package import inner  # noqa: F401


def case_lazy():
    spec = importlib.util.find_spec("fractions")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fractions"] = module
    spec.loader.exec_module(module)
    print(module.Fraction(1, 2))


def case_removed_and_again():
    for name in ("package", "package.inner", "noisy"):
        del sys.modules[name]
    import noisy as again

    print(again is noisy, again.COUNT)


def case_dunders():
    names = ("__name__", "__file__", "__package__", "__spec__", "__cached__", "__doc__", "__annotations__", "__debug__")
    print([(name, globals().get(name, "none")) for name in names])


def case_compiled():
    print(sorted(os.listdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "package")))[:2])
    print(os.path.basename(noisy.__cached__), importlib.util.cache_from_source("a.py"))


def case_optional():
    for name in ("none", "none.of", "json.none", "package.none"):
        try:
            print(importlib.util.find_spec(name))
        except ModuleNotFoundError as fault:
            print(fault, fault.name, fault.path)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
