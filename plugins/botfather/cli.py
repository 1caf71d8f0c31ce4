#!/usr/bin/env python3
"""Talks to BotFather, or to another bot, with a Telegram account."""

import argparse
import functools
import json
import sys

import telegram

MAX_WAIT = 60
WAIT = {
    "name": "wait",
    "type": "integer",
    "description": "Seconds to wait for what the bot answers; 0: do not wait",
    "required": False,
    "default": 5,
    "minimum": 0,
    "maximum": MAX_WAIT,
}


def send_message(given):
    if not given.message.strip():
        raise telegram.Failure("bad_message", "the message is empty")
    if len(given.message) > telegram.MAX_TEXT:
        message = "the message has {} characters; Telegram takes {} at most"
        raise telegram.Failure("bad_message", message.format(len(given.message), telegram.MAX_TEXT))
    return functools.partial(telegram.send_message, text=given.message, wait=given.wait)


def click_button(given):
    return functools.partial(telegram.click_button, text=given.button_text, number=given.msg_id, wait=given.wait)


def list_messages(given):
    return functools.partial(telegram.list_messages, limit=given.limit)


COMMANDS = [
    {
        "name": "send-message",
        "action": send_message,
        "title": "Send a message",
        "description": "Send a text to the bot, such as /newbot, and return what it answers",
        "parameters": [
            {
                "name": "message",
                "type": "string",
                "description": "The text, as it is",
                "required": True,
                "minLength": 1,
                "maxLength": telegram.MAX_TEXT,
            },
            WAIT,
        ],
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True},
    },
    {
        "name": "click-button",
        "action": click_button,
        "title": "Click a button",
        "description": "Click a button below a message of the bot, and return what changes",
        "parameters": [
            {"name": "button-text", "type": "string", "description": "What is on the button", "required": True},
            {
                "name": "msg-id",
                "type": "integer",
                "description": "The id of the message, as list-messages gives it",
                "required": True,
                "minimum": 1,
                "maximum": 2**31 - 1,
            },
            WAIT,
        ],
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True},
    },
    {
        "name": "list-messages",
        "action": list_messages,
        "title": "List messages",
        "description": "The newest messages of the conversation with the bot, with their ids and buttons, newest first",
        "parameters": [
            {
                "name": "limit",
                "type": "integer",
                "description": "How many messages",
                "required": False,
                "default": 10,
                "minimum": 1,
                "maximum": 100,
            }
        ],
        "annotations": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": True},
    },
]


def describe():
    members = ("name", "title", "description", "parameters", "annotations")
    # Longer than any call takes by its own limits.
    commands = [dict({name: command[name] for name in members}, output="json", timeout=150) for command in COMMANDS]
    plugin = {"name": "botfather", "version": "1.0.0", "description": __doc__}
    return {"contract_version": "1.1", "plugin": plugin, "commands": commands}


def whole(least, most, text):
    number = int(text)
    if not least <= number <= most:
        raise argparse.ArgumentTypeError("{} is not from {} to {}".format(number, least, most))
    return number


def parser():
    program = argparse.ArgumentParser(
        prog="botfather", description=__doc__, epilog="example: cli.py send-message --message /mybots"
    )
    program.add_argument("--describe", action="store_true", help="print what this program offers, as JSON")
    commands = program.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        words = command["description"]
        sub = commands.add_parser(command["name"], help=words, description=words)
        sub.set_defaults(action=command["action"], wait=0)
        for parameter in command["parameters"]:
            kind = str
            if parameter["type"] == "integer":
                kind = functools.partial(whole, parameter["minimum"], parameter["maximum"])
            sub.add_argument(
                "--" + parameter["name"],
                type=kind,
                required=parameter["required"],
                default=parameter.get("default"),
                help=parameter["description"],
            )
    return program


def main(words=None, make_client=telegram.telethon_client):
    program = parser()
    given = program.parse_args(words)
    if given.describe:
        print(json.dumps(describe()))
        return 0
    if given.command is None:
        program.print_help(sys.stderr)
        return 2
    try:
        answer = telegram.converse(given.action(given), given.wait, make_client)
    except telegram.Failure as failure:
        print(json.dumps(failure.to_json(), indent=2))
        return 1
    print(json.dumps(dict({"ok": True}, **answer), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
