#!/usr/bin/env python3
"""Small things to do with a text."""
import argparse
import hashlib
import json
import re
import sys


def echo(given):
    output = "{}: {}".format(given.prefix, given.message) if given.prefix else given.message
    return {"output": output}


def word_count(given):
    return {"words": len(given.text.split()), "characters": len(given.text)}


def slugify(given):
    slug = re.sub(r"[^a-z0-9]+", "-", given.title.lower()).strip("-")
    return {"slug": slug or "untitled"}


def hash_preview(given):
    # An argument that is not UTF-8 reaches Python as surrogates: its bytes are hashed as they came.
    digest = hashlib.sha256(given.text.encode("utf-8", "surrogateescape")).hexdigest()
    return {"sha256_preview": digest[:16], "algorithm": "sha256"}


COMMANDS = [
    {
        "name": "echo",
        "run": echo,
        "description": "Give a message back, with a prefix before it when there is one",
        "parameters": [
            {"name": "message", "type": "string", "description": "The message", "required": True},
            {
                "name": "prefix",
                "type": "string",
                "description": "What to write before the message",
                "required": False,
                "default": "",
            },
        ],
    },
    {
        "name": "word_count",
        "run": word_count,
        "description": "Count the words and characters of a text",
        "parameters": [{"name": "text", "type": "string", "description": "The text", "required": True}],
    },
    {
        "name": "slugify",
        "run": slugify,
        "description": "Make a title fit for an address: lower-case ASCII letters, digits and hyphens",
        "parameters": [{"name": "title", "type": "string", "description": "The title", "required": True}],
    },
    {
        "name": "hash_preview",
        "run": hash_preview,
        "description": "Show the first 16 hexadecimal digits of a text's SHA-256",
        "parameters": [{"name": "text", "type": "string", "description": "The text", "required": True}],
    },
]


def describe():
    def public(command):
        parameters = [dict(parameter, default=parameter.get("default")) for parameter in command["parameters"]]
        return {"name": command["name"], "description": command["description"], "parameters": parameters}

    return {
        "contract_version": "1.0",
        "plugin": {"name": "demo_text", "version": "1.0.0", "description": __doc__},
        "commands": [public(command) for command in COMMANDS],
    }


def parser():
    examples = "example: cli.py echo --message hello --prefix note"
    program = argparse.ArgumentParser(prog="demo_text", description=__doc__, epilog=examples)
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
                required=parameter["required"],
                default=parameter.get("default"),
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
    print(json.dumps(dict({"ok": True}, **given.run(given)), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
