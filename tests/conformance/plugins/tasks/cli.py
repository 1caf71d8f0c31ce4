#!/usr/bin/env python3
"""Programs whose calls may outlive the connection: as tasks of clients that know tasks.

The suite names them: one that takes as long as it is told, one that fails, one whose result the server cannot keep, some
that ask while they run, and one that asks first and becomes a task then.
"""
import argparse
import json
import os
import sys
import time

# Run by hand there is no such descriptor: the question is shown on stderr, and the terminal answers.
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))
# More than the suite's server keeps for one client.
TOO_LARGE = 3 << 19


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def ask(**questions):
    """The client's answers, by the same keys."""
    tell(ask=questions)
    with open(EVENTS, closefd=False) as events:
        answers = json.loads(events.readline())
    if "error" in answers:
        sys.exit(answers["error"]["message"])
    return answers


def form(message, name, kind):
    schema = {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}
    return {"elicit": {"message": message, "requestedSchema": schema}}


def greet(given):
    """Greets somebody"""
    return f"Hello, {given.name}!"


def slow_compute(given):
    """Takes as many seconds as it is told"""
    time.sleep(given.seconds)
    return f"{given.label or 'computed'} after {given.seconds:g} s"


def failing_job(given):
    """Fails after a while"""
    time.sleep(0.3)
    sys.exit("this job always fails")


def protocol_error_job(given):
    """Prints more than the server keeps"""
    return "x" * TOO_LARGE


def confirm_delete(given):
    """Asks before it deletes"""
    answer = ask(confirm=form(f"Delete {given.filename}?", "confirm", "boolean"))["confirm"]
    confirmed = answer["action"] == "accept" and answer["content"]["confirm"]
    return f"{given.filename} {'deleted' if confirmed else 'kept'}"


def multi_input(given):
    """Asks two things at once"""
    answers = ask(first=form("Your name?", "name", "string"), second=form("Sure?", "confirm", "boolean"))
    return json.dumps(answers)


def test_tool_with_task(given):
    """Asks first, and goes on as a task"""
    answer = ask(user_name=form("Your name?", "name", "string"))["user_name"]
    tell(detach=True)
    time.sleep(0.3)
    return f"Hello, {answer['content']['name']}!"


NUMBER = {"name": "seconds", "type": "number", "description": "How long", "required": True}
TEXT = {"type": "string", "description": "A text", "required": True}
COMMANDS = [
    (greet, {"parameters": [{**TEXT, "name": "name"}]}),
    (slow_compute, {"detach": True, "parameters": [NUMBER, {**TEXT, "name": "label", "required": False}]}),
    (failing_job, {"detach": True, "requires": ["tasks"]}),
    (protocol_error_job, {"detach": True}),
    (confirm_delete, {"detach": True, "parameters": [{**TEXT, "name": "filename"}]}),
    (multi_input, {"detach": True}),
    (test_tool_with_task, {"detach": "later"}),
]


def describe():
    commands = [
        {"name": run.__name__, "tool": run.__name__, "description": run.__doc__, **members}
        for run, members in COMMANDS
    ]
    return {"contract_version": "1.1", "plugin": {"name": "tasks"}, "commands": commands}


def main():
    parser = argparse.ArgumentParser(description="Calls that outlive the connection")
    parser.add_argument("--describe", action="store_true")
    commands = parser.add_subparsers(dest="command")
    for run, members in COMMANDS:
        command = commands.add_parser(run.__name__, help=run.__doc__)
        command.set_defaults(run=run)
        for parameter in members.get("parameters", []):
            kind = float if parameter["type"] == "number" else str
            command.add_argument("--" + parameter["name"], type=kind, required=parameter["required"])
    given = parser.parse_args()
    if given.describe:
        print(json.dumps(describe()))
    elif given.command:
        print(given.run(given))
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
