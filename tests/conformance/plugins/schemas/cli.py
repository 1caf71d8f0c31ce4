#!/usr/bin/env python3
"""Schemas that reach the client to the letter: a whole JSON Schema 2020-12, and a keyword of a single parameter."""
import argparse
import json
import sys

CONTACT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def contact(_):
    # `"input": "stdin"`: the arguments come as one JSON object, already checked against the schema.
    print("Contact: " + json.dumps(json.load(sys.stdin), sort_keys=True))


def regional(given):
    print(f"Ran in {given.region}")


DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "schemas", "version": "1.0.0", "description": __doc__},
    "commands": [
        {
            "name": "contact",
            "tool": "json_schema_2020_12_tool",
            "description": "Tool with JSON Schema 2020-12 features",
            "input_schema": CONTACT,
            "input": "stdin",
        },
        {
            "name": "regional",
            "tool": "test_custom_header",
            "description": "Runs in a region that proxies can read from a header",
            "parameters": [
                {
                    "name": "region",
                    "type": "string",
                    "description": "Where to run",
                    "required": True,
                    "x-mcp-header": "Region",
                }
            ],
        },
    ],
}


def parser():
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument("--describe", action="store_true")
    commands = program.add_subparsers(dest="command")
    commands.add_parser("contact").set_defaults(run=contact)
    command = commands.add_parser("regional")
    command.set_defaults(run=regional)
    command.add_argument("--region", required=True)
    return program


if __name__ == "__main__":
    given = parser().parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
    else:
        given.run(given)
