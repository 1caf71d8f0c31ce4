#!/usr/bin/env python3
"""Shows its modules and itself as a module."""
import argparse
import calendar
import json
import pickle
import sys

import beside


class Picklable:
    def __init__(self, value):
        self.value = value


def case_main():
    main = sys.modules["__main__"]
    print(sorted(name for name in dir(main) if name.startswith("__")))
    print(main.__name__, main.__file__, main.__spec__, type(main.__loader__).__name__, main.__package__, getattr(main, "__cached__", "none"))
    print(type(__builtins__).__name__, main.__doc__, main.__loader__.path, main.__loader__.name, list(main.__dict__)[:9])


def case_search_path():
    print(sys.path)


def case_finders():
    print([str(finder) for finder in sys.meta_path], [getattr(hook, "__qualname__", hook) for hook in sys.path_hooks])


def case_finder_cache():
    print(sorted(key for key in sys.path_importer_cache if "site-packages" not in key and "/encodings" not in key))


def case_loaded():
    print(sorted(sys.modules))


def case_loaded_at_exit():
    import atexit

    atexit.register(lambda: print(len(sys.modules)))


def case_own_files():
    print(calendar.__file__, calendar.OWN, beside.__file__, beside.__name__, beside.__spec__.origin)


def case_beside_sees():
    print(beside.main_name())


def case_hidden():
    print([name for name in sys.modules if "zygote" in name or "custom" in name], "gc" in sys.modules, "_socket" in sys.modules)


def case_lazy_standard():
    import html
    import decimal

    print(html.escape("<"), decimal.Decimal("1.1"))


def case_reload():
    import importlib

    print(importlib.reload(json) is json, importlib.reload(beside) is beside, importlib.import_module("beside") is beside)


def case_resources():
    import pkgutil

    print(sorted(module.name for module in pkgutil.iter_modules([sys.path[0]])))


def case_pickle():
    data = pickle.dumps(Picklable(3))
    print(b"__main__" in data, pickle.loads(data).value, Picklable.__module__)


def case_missing():
    import missing_module


def case_spec_of_loaded():
    for name in ("argparse", "json", "json.decoder"):
        module = sys.modules[name]
        print(module.__spec__.name, module.__spec__.origin, type(module.__loader__).__name__, module.__spec__._initializing if hasattr(module.__spec__, "_initializing") else "")


def case_identity():
    print(argparse.Namespace is sys.modules["argparse"].Namespace, json.JSONDecodeError.__mro__)


def case_site():
    import site

    print(site.ENABLE_USER_SITE, site.USER_SITE, site.USER_BASE, site.PREFIXES, sorted(name for name in dir(__builtins__) if not name.startswith("_")))
    print(exit, copyright)


def case_interactive_hook():
    print(sys.__interactivehook__.__name__, sys.__interactivehook__.__module__, vars(sys.__interactivehook__))


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
