#!/usr/bin/env python3
"""Arithmetic, sizes for people to read, and a coin."""
import argparse
import json
import math
import operator
import random
import sys

OPERATIONS = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "modulo": operator.mod,
}
UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]


class Failure(Exception):
    """What went wrong, in words that a caller can branch on."""


def calculate(given):
    operation = given.operation.lower()
    if operation not in OPERATIONS:
        raise Failure("invalid_operation")
    try:
        result = OPERATIONS[operation](given.a, given.b)
    except ZeroDivisionError:
        raise Failure("division_by_zero")
    except OverflowError:
        raise Failure("result_too_large")
    if isinstance(result, complex) or not math.isfinite(result):
        raise Failure("result_not_a_number" if isinstance(result, complex) else "result_too_large")
    return {"operation": operation, "a": given.a, "b": given.b, "result": result}


def format_bytes(given):
    if given.value < 0:
        raise Failure("value must be non-negative")
    count = int(given.value)
    size, unit = float(count), 0
    # What would be rounded up to 1024.00 is shown in the next unit.
    while round(size, 2) >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    human = "{:.2f} {}".format(size, UNITS[unit]) if unit else "{} B".format(count)
    return {"bytes": count, "human": human}


def coin_flip(_):
    return {"result": random.SystemRandom().choice(["heads", "tails"])}


def finite(text):
    """A number that JSON can carry."""
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError("'{}' is not a finite number".format(text))
    return number


def size(text):
    """A number of bytes; whole numbers of any length keep all their digits."""
    try:
        return int(text)
    except ValueError:
        return finite(text)


COMMANDS = [
    {
        "name": "calculate",
        "run": calculate,
        "description": "Calculate with two numbers",
        "parameters": [
            {
                "name": "operation",
                "type": "string",
                "description": "What to do with the two numbers: " + ", ".join(OPERATIONS),
                "required": True,
            },
            {"name": "a", "type": "number", "description": "The first number", "required": True},
            {"name": "b", "type": "number", "description": "The second number", "required": True},
        ],
    },
    {
        "name": "format_bytes",
        "run": format_bytes,
        "description": "Write a number of bytes the way people read it, in powers of 1024",
        "parameters": [
            {
                "name": "value",
                "type": "number",
                "description": "The number of bytes",
                "required": True,
                "read": size,
            }
        ],
    },
    {"name": "coin_flip", "run": coin_flip, "description": "Flip a fair coin: heads or tails", "parameters": []},
]
TYPES = {"string": str, "number": finite}


def describe():
    def public(command):
        parameters = [
            {member: parameter.get(member) for member in ("name", "type", "description", "required", "default")}
            for parameter in command["parameters"]
        ]
        return {"name": command["name"], "description": command["description"], "parameters": parameters}

    return {
        "contract_version": "1.0",
        "plugin": {"name": "demo_math", "version": "1.0.0", "description": __doc__},
        "commands": [public(command) for command in COMMANDS],
    }


def parser():
    examples = "example: cli.py calculate --operation add --a 2 --b 3"
    program = argparse.ArgumentParser(prog="demo_math", description=__doc__, epilog=examples)
    program.add_argument("--describe", action="store_true", help="print what this program offers, as JSON")
    commands = program.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        words = command["description"]
        sub = commands.add_parser(command["name"], help=words, description=words)
        sub.set_defaults(run=command["run"])
        for parameter in command["parameters"]:
            sub.add_argument(
                "--" + parameter["name"].replace("_", "-"),
                dest=parameter["name"],
                type=parameter.get("read", TYPES[parameter["type"]]),
                required=parameter["required"],
                help=parameter["description"],
            )
    return program


def main():
    program = parser()
    given = program.parse_args()
    if given.describe:
        print(json.dumps(describe()))
        return 0
    if given.command is None:
        program.print_help(sys.stderr)
        return 2
    try:
        print(json.dumps(dict({"ok": True}, **given.run(given)), indent=2))
    except Failure as failure:
        print(json.dumps({"ok": False, "error": str(failure)}, indent=2))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
