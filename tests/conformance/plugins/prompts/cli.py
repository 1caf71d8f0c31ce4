#!/usr/bin/env python3
"""Prompts and the completion of their arguments, each served by a command that prints the protocol's own result."""
import argparse
import json

RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
CITIES = ["paris", "park", "party", "test", "testing"]


def simple(_):
    # Plain text becomes one message of the user.
    print("This is a simple prompt for testing.")


def with_arguments(given):
    print(f"Prompt with arguments: arg1='{given.arg1}', arg2='{given.arg2}'")


def with_resource(given):
    resource = {"uri": given.resourceUri, "mimeType": "text/plain", "text": "Embedded resource content for testing."}
    show({"type": "resource", "resource": resource}, text("Please process the embedded resource above."))


def with_image(_):
    image = {"type": "image", "data": RED_PIXEL, "mimeType": "image/png"}
    show(image, text("Please analyze the image above."))


def complete(given):
    found = [city for city in CITIES if city.startswith(given.value)]
    print(json.dumps({"completion": {"values": found, "total": len(found), "hasMore": False}}))


def text(words):
    return {"type": "text", "text": words}


def show(*contents):
    print(json.dumps({"messages": [{"role": "user", "content": content} for content in contents]}))


def prompt(name, description, command, **arguments):
    return {
        "name": name,
        "description": description,
        "command": command,
        "arguments": [{"name": key, "description": words, "required": True} for key, words in arguments.items()],
    }


DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "prompts", "version": "1.0.0", "description": __doc__},
    "commands": [],
    "prompts": [
        prompt("test_simple_prompt", "A prompt without arguments", "simple"),
        prompt(
            "test_prompt_with_arguments",
            "A prompt with two arguments",
            "with-arguments",
            arg1="First test argument",
            arg2="Second test argument",
        ),
        prompt(
            "test_prompt_with_embedded_resource",
            "A prompt that embeds a resource",
            "with-resource",
            resourceUri="URI of the resource to embed",
        ),
        prompt("test_prompt_with_image", "A prompt with an image", "with-image"),
    ],
    "completions": [{"ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "command": "complete"}],
}


def parser():
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument("--describe", action="store_true")
    commands = program.add_subparsers(dest="command")
    for name, run, options in [
        ("simple", simple, []),
        ("with-arguments", with_arguments, ["--arg1", "--arg2"]),
        ("with-resource", with_resource, ["--resourceUri"]),
        ("with-image", with_image, []),
        ("complete", complete, ["--argument", "--value"]),
    ]:
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
