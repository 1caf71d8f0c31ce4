#!/usr/bin/env python3
"""Tools to try on the page: each kind of argument, progress, a question, an image, a failure, much output."""
import argparse
import json
import os
import sys
import time

EVENTS = int(os.environ.get("SMCP_EVENTS", 2))  # by hand: events are shown on stderr
PIXELS = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
)


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def order(given):
    print(json.dumps(vars(given)))


def copy_files(given):
    for done in range(1, given.files + 1):
        tell(progress=done, total=given.files, message=f"file {done} of {given.files}")
        time.sleep(0.1)
        # A test lets it go on when it has seen the step.
        while given.gate and not os.path.exists(os.path.join(given.gate, str(done))):
            time.sleep(0.02)
    print(f"{given.files} files were copied")


def measure(_given):
    """Runs until it is stopped."""
    tell(progress=42, total=100, message="measuring")
    while True:
        time.sleep(60)


def book(given):
    schema = {
        "type": "object",
        "properties": {
            "seat": {"type": "string", "enum": ["aisle", "window"], "description": "Where you would like to sit"},
            "nights": {"type": "integer", "title": "Nights", "minimum": 1, "maximum": 14, "default": 2},
        },
        "required": ["seat", "nights"],
    }
    tell(ask={"choice": {"elicit": {"message": f"A trip to {given.city}: what would you like?", "requestedSchema": schema}}})
    with open(EVENTS, closefd=False) as events:
        answers = json.loads(events.readline())
    if "error" in answers:
        sys.exit(answers["error"]["message"])
    print(json.dumps(answers["choice"]))


def register(_given):
    """Asks for texts: one line, and many."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "about": {"type": "string", "maxLength": 2000}},
        "required": ["name"],
    }
    tell(ask={"who": {"elicit": {"message": "Who are you?", "requestedSchema": schema}}})
    with open(EVENTS, closefd=False) as events:
        print(json.dumps(json.loads(events.readline())["who"]))


def draw(_given):
    picture = {"type": "image", "data": PIXELS, "mimeType": "image/png"}
    link = {"type": "resource_link", "uri": "https://example.org/picture", "name": "where it is from"}
    print(json.dumps({"content": [{"type": "text", "text": "A picture:"}, picture, link]}))


def authorize(_given):
    question = {"mode": "url", "message": "Sign in there first", "url": "https://example.org/sign-in", "elicitationId": "1"}
    tell(ask={"there": {"elicit": question}})
    with open(EVENTS, closefd=False) as events:
        print(events.readline())


def come_back(_given):
    """Sends its client away, and prints when that is on its way back."""
    tell(progress=1, total=2, message="half of it")
    tell(reconnect=200)
    time.sleep(0.5)
    print("you have come back")


def fail(_given):
    sys.exit("there is no paper in the printer")


def print_much(_given):
    line = "0123456789abcde\n"
    sys.stdout.write(line * (10 * 1024 * 1024 // len(line)))


COMMANDS = [
    {
        "name": "order",
        "description": "Orders coffee.\nSays what it was given.",
        "annotations": {"readOnlyHint": True},
        "parameters": [
            {"name": "name", "type": "string", "required": True, "minLength": 2, "description": "for whom"},
            {"name": "cups", "type": "integer", "default": 1, "minimum": 1, "maximum": 12, "description": "how many"},
            {"name": "size", "type": "string", "enum": ["small", "large"], "default": "small", "description": "of the cup"},
            {"name": "to_go", "type": "boolean", "action": "store_true", "description": "in a paper cup"},
            {"name": "extras", "type": "array", "items": {"type": "string"}, "description": "what goes into it"},
            {"name": "price", "type": "integer", "description": "in cents, at most"},
            {"name": "more", "type": "object", "description": "anything else"},
        ],
    },
    {
        "name": "copy_files",
        "description": "Copies files one after the other, and says how far it is.",
        "parameters": [
            {"name": "files", "type": "integer", "default": 15, "description": "how many"},
            {"name": "gate", "type": "string", "description": "a directory in which a file lets each step end"},
        ],
    },
    {"name": "measure", "description": "Measures until it is stopped."},
    {
        "name": "book",
        "description": "Books a trip, and asks what is not known yet.",
        "parameters": [{"name": "city", "type": "string", "required": True, "description": "where to"}],
    },
    {"name": "register", "description": "Asks who you are."},
    {"name": "authorize", "description": "Asks you to open an address."},
    {"name": "come_back", "description": "Lets its client leave and fetch the result later."},
    {"name": "draw", "description": "Draws a picture.", "output": "content"},
    {"name": "fail", "description": "Fails as a program does."},
    {"name": "print_much", "description": "Prints 10 MiB."},
]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("--name")
    parser.add_argument("--cups", type=int)
    parser.add_argument("--size")
    parser.add_argument("--to-go", "--to_go", dest="to_go", action="store_true")
    parser.add_argument("--extras", action="append")
    parser.add_argument("--price")
    parser.add_argument("--more")
    parser.add_argument("--files", type=int)
    parser.add_argument("--gate")
    parser.add_argument("--city")
    given = parser.parse_args()
    globals()[given.command](given)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        description = {"name": "workshop", "version": "1.0.0", "description": __doc__}
        print(json.dumps({"contract_version": "1.1", "plugin": description, "commands": COMMANDS}))
    else:
        main()
