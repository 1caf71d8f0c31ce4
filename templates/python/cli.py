#!/usr/bin/env python3
"""Greets people."""

import argparse


def hello(name: str, times: int) -> str:
    """The answer of the command hello."""
    return "\n".join([f"Hello, {name}!"] * times)


def arguments() -> argparse.Namespace:
    """The command line. The server reads this parser: each sub-command is a tool, each option an argument of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("hello", help="Greets somebody")
    command.add_argument("--name", required=True, help="who is greeted")
    command.add_argument("--times", type=int, default=1, choices=range(1, 11), help="how often, from 1 to 10")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    # What a command prints is its result. To fail, write the reason to standard error and exit with another status
    # than 0, as sys.exit("the reason") does.
    print(hello(given.name, given.times))
