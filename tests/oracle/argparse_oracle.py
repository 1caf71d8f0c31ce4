"""Parses command lines as a real program would: one JSON object a line in, one out.

In: {"parameters": [...], "lines": [[word, ...], ...]}. Out: for each line the namespace of an equivalent argparse
parser, or {"error": why}.
"""

import argparse
import json
import sys


class Refused(Exception):
    pass


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Refused(message)

    def exit(self, status=0, message=None):
        raise Refused(f"exit {status}: {message}")


TYPES = {"string": str, "integer": int, "number": float}


def add(parser, parameter):
    how = parameter["how"]
    name = parameter["name"]
    kind = TYPES.get(parameter.get("type"))
    if how == "positional":
        parser.add_argument(name, type=kind, nargs=None if parameter["required"] else "?", default=None)
    elif how == "positionals":
        parser.add_argument(name, type=kind, nargs="*", default=None)
    else:
        flag = parameter["flag"]
        if how == "value":
            parser.add_argument(flag, dest=name, type=kind)
        elif how == "flag":
            parser.add_argument(flag, dest=name, action="store_true")
        elif how == "switch":
            parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction)
        elif how == "repeat":
            parser.add_argument(flag, dest=name, type=kind, action="append")
        elif how == "list":
            parser.add_argument(flag, dest=name, type=kind, nargs="*")
        elif how == "count":
            parser.add_argument(flag, dest=name, action="count")
        else:
            raise ValueError(how)


def parser_of(parameters):
    whole = Parser(prog="cli", argument_default=argparse.SUPPRESS)
    for parameter in parameters:
        if parameter["level"] == 0:
            add(whole, parameter)
    commands = whole.add_subparsers(dest="command of the line", required=True, parser_class=Parser)
    run = commands.add_parser("run", argument_default=argparse.SUPPRESS)
    for parameter in parameters:
        if parameter["level"] == 1:
            add(run, parameter)
    return whole


def told(value):
    if isinstance(value, bool) or isinstance(value, str):
        return value
    if isinstance(value, int):
        return {"integer": str(value)}
    if isinstance(value, float):
        return {"number": repr(value)}
    if isinstance(value, list):
        return [told(item) for item in value]
    return {"other": repr(value)}


def is_absent(value, how):
    return value is None or (how == "positionals" and value == [])


def parsed(parser, hows, words):
    try:
        namespace = vars(parser.parse_args(words))
    except Refused as refused:
        return {"error": str(refused)}
    namespace.pop("command of the line")
    return {"namespace": {name: told(value) for name, value in namespace.items() if not is_absent(value, hows[name])}}


def main():
    for line in sys.stdin:
        question = json.loads(line)
        parser = parser_of(question["parameters"])
        hows = {parameter["name"]: parameter["how"] for parameter in question["parameters"]}
        print(json.dumps([parsed(parser, hows, words) for words in question["lines"]]), flush=True)


main()
