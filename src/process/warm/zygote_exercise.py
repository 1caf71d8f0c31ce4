"""Runs what most programs run in their first milliseconds, in the process from which they are forked."""

import sys


def exercise():
    """Runs what most programs run in their first milliseconds, so that its code is prepared and its caches are filled
    here, once, and not in each fork."""
    loaded = sys.modules
    if "argparse" in loaded:
        argparse = loaded["argparse"]
        parser = argparse.ArgumentParser(prog="x", description="d", epilog="e")
        parser.add_argument("--flag", action="store_true", help="h")
        commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
        for name in ("one", "two"):
            command = commands.add_parser(name, help="h", description="d")
            command.set_defaults(run=None)
            for kind in (str, int, float):
                command.add_argument("--" + kind.__name__, dest=kind.__name__, type=kind, required=True, help="h")
            command.add_argument("--word", default="a", choices=["a", "b"])
        for _ in range(3):
            parser.parse_args(["two", "--str", "a", "--int", "1", "--float", "1.5", "--word", "b"])
    if "json" in loaded:
        json = loaded["json"]
        value = {"ok": True, "text": "a", "numbers": [1, 2.5, None], "nested": {"a": []}}
        for indent in (None, 2):
            for _ in range(3):
                json.loads(json.dumps(value, indent=indent))
