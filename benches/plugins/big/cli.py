#!/usr/bin/env python3
"""Prints much."""

import argparse
import json
import sys

LINE = "All work and no play makes a dull benchmark, so here are some quotes: \"'\\ and a tab:\t.\n"
DESCRIPTION = {
    "contract_version": "1.1",
    "commands": [
        {
            "name": "text",
            "description": "Prints so many bytes of text",
            "parameters": [{"name": "size", "type": "integer", "required": True}],
        }
    ],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", action="store_true")
    commands = parser.add_subparsers(dest="command")
    text = commands.add_parser("text")
    text.add_argument("--size", type=int, required=True)
    given = parser.parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
        return
    sys.stdout.write((LINE * (given.size // len(LINE) + 1))[: given.size])


if __name__ == "__main__":
    main()
