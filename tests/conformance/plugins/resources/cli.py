#!/usr/bin/env python3
"""Resources and a resource template: one command reads them all."""
import argparse
import json

RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"


def read(given):
    if given.uri == "test://static-text":
        # Plain text becomes the contents, with the URI and the declared type around it.
        print("This is the content of the static text resource.")
    elif given.uri == "test://static-binary":
        print(json.dumps({"contents": [{"uri": given.uri, "mimeType": "image/png", "blob": RED_PIXEL}]}))
    else:
        print("Watch this resource: test_update_watched_resource announces that it changed.")


def read_template(given):
    print(json.dumps({"id": given.id, "templateTest": True, "data": f"Data for ID: {given.id}"}))


def resource(uri, name, description, mime_type):
    return {"uri": uri, "name": name, "description": description, "mimeType": mime_type, "command": "read"}


DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "resources", "version": "1.0.0", "description": __doc__},
    "commands": [],
    "resources": [
        resource("test://static-text", "static-text", "A static text", "text/plain"),
        resource("test://static-binary", "static-binary", "A static image", "image/png"),
        resource("test://watched-resource", "watched-resource", "A text to subscribe to", "text/plain"),
    ],
    "resource_templates": [
        {
            "uriTemplate": "test://template/{id}/data",
            "name": "template",
            "description": "Data by its number",
            "mimeType": "application/json",
            "command": "read-template",
        }
    ],
}


def parser():
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument("--describe", action="store_true")
    commands = program.add_subparsers(dest="command")
    for name, run, options in [("read", read, ["--uri"]), ("read-template", read_template, ["--uri", "--id"])]:
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        for option in options:
            command.add_argument(option, required=True)
    return program


if __name__ == "__main__":
    given = parser().parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
    else:
        given.run(given)
