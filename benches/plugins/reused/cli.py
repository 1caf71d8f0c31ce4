#!/usr/bin/env python3
"""A sum, by a command whose calls may run one after the other in one process."""

import argparse
import json

DESCRIPTION = {
    "contract_version": "1.1",
    "commands": [
        {
            "name": "calculate",
            "description": "Adds two numbers",
            "reuse": True,
            "parameters": [
                {"name": "a", "type": "number", "required": True},
                {"name": "b", "type": "number", "required": True},
            ],
        }
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", action="store_true")
    commands = parser.add_subparsers(dest="command")
    calculate = commands.add_parser("calculate")
    calculate.add_argument("--a", type=float, required=True)
    calculate.add_argument("--b", type=float, required=True)
    given = parser.parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
        return
    print(json.dumps({"ok": True, "a": given.a, "b": given.b, "result": given.a + given.b}, indent=2))


if __name__ == "__main__":
    main()
