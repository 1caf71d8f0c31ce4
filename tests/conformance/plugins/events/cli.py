#!/usr/bin/env python3
"""What a program can say while it runs: one line of JSON an event, written to the descriptor SMCP_EVENTS."""
import json
import os
import sys
import tempfile
import time
from pathlib import Path

# Run by hand there is no such descriptor: the events are shown on stderr.
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))


# As long as there were changes: clients are told of a list only when it is another one.
BY_HAND = Path(tempfile.gettempdir(), f"smcp-conformance-changes-{os.getuid()}")
CHANGES = Path(os.environ.get("CONFORMANCE_CHANGES", BY_HAND))


def changes():
    return CHANGES.stat().st_size if CHANGES.exists() else 0


def count_a_change():
    with CHANGES.open("a") as file:
        file.write(".")


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
    """Changes the list of tools, and says so"""
    count_a_change()
    tell(changed="tools")
    print("Tool list change announced")


def trigger_prompt_change():
    """Changes the list of prompts, and says so"""
    count_a_change()
    tell(changed="prompts")
    print("Prompt list change announced")


def update_watched_resource():
    """Says that test://watched-resource has new contents"""
    tell(updated="test://watched-resource")
    print("Update announced")


def changing_prompt():
    """A prompt whose entry is another one after each change"""
    print(f"There were {changes()} changes.")


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
    counted = f" ({changes()} times by now)"
    described = [
        {
            "name": run.__name__,
            "tool": "test_" + run.__name__,
            "description": run.__doc__ + (counted if run is trigger_tool_change else ""),
        }
        for run in COMMANDS
    ]
    prompt = {
        "name": "test_" + changing_prompt.__name__,
        "description": changing_prompt.__doc__ + counted,
        "command": changing_prompt.__name__,
    }
    return {
        "contract_version": "1.1",
        "plugin": {"name": "events", "version": "1.0.0", "description": __doc__},
        "commands": described,
        "prompts": [prompt],
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(describe()))
    else:
        {run.__name__: run for run in [*COMMANDS, changing_prompt]}[sys.argv[1]]()
