#!/usr/bin/env python3
"""What a program can say while it runs: one line of JSON an event, written to the descriptor SMCP_EVENTS."""
import json
import os
import sys
import time

# Run by hand there is no such descriptor: the events are shown on stderr.
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def tool_with_progress():
    """Reports progress in three steps"""
    for done in (0, 50, 100):
        tell(progress=done, total=100, message=f"Completed step {done} of 100")
        time.sleep(0.05)
    print("Tool with progress executed successfully")


def tool_with_logging():
    """Logs three messages while it works"""
    for message in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        tell(log="info", data=message)
        time.sleep(0.05)
    print("Tool with logging executed successfully")


def logging_tool():
    """Logs one message, which reaches only clients that asked for logs"""
    tell(log="info", data="nobody reads this unless the request set a log level")
    print("Logged one message")


def trigger_tool_change():
    """Says that the list of tools changed"""
    tell(changed="tools")
    print("Tool list change announced")


def trigger_prompt_change():
    """Says that the list of prompts changed"""
    tell(changed="prompts")
    print("Prompt list change announced")


def update_watched_resource():
    """Says that test://watched-resource has new contents"""
    tell(updated="test://watched-resource")
    print("Update announced")


def reconnection():
    """Lets the client hang up and fetch the answer when it comes back"""
    tell(reconnect=500)
    time.sleep(0.2)
    print("Reconnection test completed")


COMMANDS = [
    tool_with_progress,
    tool_with_logging,
    logging_tool,
    trigger_tool_change,
    trigger_prompt_change,
    update_watched_resource,
    reconnection,
]


def describe():
    return {
        "contract_version": "1.1",
        "plugin": {"name": "events", "version": "1.0.0", "description": __doc__},
        "commands": [
            {"name": run.__name__, "tool": "test_" + run.__name__, "description": run.__doc__} for run in COMMANDS
        ],
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(describe()))
    else:
        {run.__name__: run for run in COMMANDS}[sys.argv[1]]()
