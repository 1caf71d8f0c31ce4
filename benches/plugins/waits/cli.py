#!/usr/bin/env python3
"""Waits, as tools do that ask a network, a model or a person."""

import argparse
import json
import time

DESCRIPTION = {
    "contract_version": "1.1",
    "commands": [
        {
            "name": "nap",
            "description": "Waits, and says how long",
            "parameters": [
                {"name": "seconds", "type": "number", "required": True},
                {"name": "hold", "type": "string", "description": "a file to keep open meanwhile"},
            ],
        }
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", action="store_true")
    commands = parser.add_subparsers(dest="command")
    nap = commands.add_parser("nap")
    nap.add_argument("--seconds", type=float, required=True)
    nap.add_argument("--hold")
    given = parser.parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
        return
    held = open(given.hold) if given.hold else None
    time.sleep(given.seconds)
    print(json.dumps({"slept": given.seconds, "held": held is not None}))


if __name__ == "__main__":
    main()
