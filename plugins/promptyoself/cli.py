#!/usr/bin/env python3
"""Gives prompts to Letta agents at set times: once, at every time of a cron expression, or again and again."""

import argparse
import datetime
import functools
import importlib.util
import json
import os
import sys

import letta
from failure import Failure

#: In characters: what a program can be given is bounded in bytes.
MAX_PROMPT = 30_000
MAX_REPETITIONS = 1_000_000
NEEDED = {"sqlalchemy": "SQLAlchemy", "croniter": "croniter", "letta_client": "letta-client"}


def missing():
    """The packages that are not installed. Looks only: the description must be quick."""
    return [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def store():
    absent = missing()
    if absent:
        message = "not installed: {}; `pip install -r requirements.txt` in this plugin's directory, or in its .venv"
        raise Failure("not_installed", message.format(", ".join(absent)))
    from store import Store, default_path

    return Store(default_path(), now)


def agent_of(given, required=True):
    """The agent that is named, else the one that calls."""
    agent = given.agent_id or os.environ.get("SMCP_AGENT_ID")
    if required and not agent:
        message = "no agent: give agent-id, or let the client send the header X-Agent-Id"
        raise Failure("no_agent", message)
    if agent and (agent in (".", "..") or "/" in agent or not agent.isprintable()):
        raise Failure("unknown_agent", "{!r} is no id of an agent; `agents` lists those that there are".format(agent))
    return agent


def written(moment):
    try:
        return moment and moment.astimezone().isoformat(timespec="seconds")
    except (OverflowError, OSError):
        return moment.isoformat(timespec="seconds")


def shown(schedule, last=None):
    """A schedule as callers see it."""
    found = {
        "id": schedule.id,
        "agent-id": schedule.agent_id,
        "prompt": schedule.prompt,
        schedule.kind: schedule.expression,
        "state": schedule.state,
        "next-run": written(schedule.next_run),
        "repetitions": schedule.repetitions,
    }
    if schedule.kind == "cron":
        found["timezone"] = schedule.timezone or "of the server"
    if schedule.max_repetitions is not None:
        found["max-repetitions"] = schedule.max_repetitions
    if last is not None:
        found["last-run"] = {"due": written(last.due_at), "state": last.state, "tries": last.tries, "detail": last.detail}
    return found


def when(given):
    """What a new schedule is made of, as far as time goes."""
    import timing

    kinds = [kind for kind in ("time", "cron", "every") if getattr(given, kind)]
    if len(kinds) != 1:
        raise Failure("bad_arguments", "give exactly one of time, cron and every")
    kind = kinds[0]
    name = given.timezone or os.environ.get("PROMPTYOSELF_TIMEZONE", "")
    tz, moment = timing.zone(name), now()
    start = timing.moment(given.start_at, tz, "start-at") if given.start_at else None
    if kind == "time":
        if start or given.max_repetitions:
            raise Failure("bad_arguments", "start-at and max-repetitions are for cron and every: time comes once")
        due = timing.moment(given.time, tz, "time")
        if due <= moment:
            raise Failure("bad_time", "time {} is over; it is {} now".format(given.time, written(moment)))
        start, expression = due, given.time
    elif kind == "every":
        length = timing.seconds(given.every)
        start = start or moment + datetime.timedelta(seconds=length)
        due, expression = timing.next_every(length, start, moment), given.every
    else:
        timing.check_cron(given.cron)
        # A moment that is the start itself counts.
        from_here = max(moment, start - datetime.timedelta(seconds=1)) if start else moment
        due, expression = timing.next_cron(given.cron, from_here, tz), given.cron
        if due is None:
            raise Failure("bad_cron", "cron '{}' never comes".format(given.cron))
        start = start or moment
    return {"kind": kind, "expression": expression, "timezone": name, "start_at": start, "next_run": due}


def register(given):
    agent = agent_of(given)
    if not given.prompt.strip():
        raise Failure("bad_prompt", "the prompt is empty")
    if len(given.prompt) > MAX_PROMPT:
        raise Failure("bad_prompt", "the prompt has {} characters; {} are allowed".format(len(given.prompt), MAX_PROMPT))
    database = store()
    from store import Schedule

    made = when(given)
    name = None if given.skip_validation else letta.Letta().agent(agent)
    schedule = database.add(
        Schedule(
            agent_id=agent,
            prompt=given.prompt,
            created_at=now(),
            max_repetitions=given.max_repetitions,
            repetitions=0,
            state="active",
            **made
        )
    )
    answer = {"schedule": shown(schedule)}
    if name is not None:
        answer["agent-name"] = name
    if not letta.is_configured():
        answer["warning"] = "nothing is sent before LETTA_BASE_URL is set for the server, and the server started again"
    return answer


def list_schedules(given):
    # All of all agents, with what is over, or the active ones of one agent.
    agent = given.agent_id if given.all else agent_of(given, required=False)
    found = store().list(agent, given.all)
    return {"schedules": [shown(schedule, last) for schedule, last in found]}


def cancel(given):
    return {"schedule": shown(store().cancel(given.id))}


def execute(given):
    import running

    database = store()
    if given.loop:
        # Before the first prompt is due: who starts this by hand sees at once what is missing.
        letta.Letta()
        running.loop(database, letta.Letta, given.interval)
        return None
    outcomes = running.run_due(database, letta.Letta)
    return {"runs": outcomes, "next": written(database.next_due())}


def test(_given):
    agents, more = letta.Letta().agents()
    count = "{}{}".format(len(agents), " or more" if more else "")
    return {"letta": letta.address() or "Letta's cloud", "agents": count, "database": str(store().path)}


def agents(_given):
    found, more = letta.Letta().agents()
    return {"agents": found, "more": more}


def upload(given):
    return {"tool": letta.Letta().upload(given.name, given.description, given.source_code)}


def texts(name, description, required=False, **more):
    return dict({"name": name, "type": "string", "description": description, "required": required}, **more)


AGENT = texts("agent-id", "The agent; without it, the one that calls (X-Agent-Id)")

COMMANDS = [
    {
        "name": "register",
        "action": register,
        "title": "Schedule a prompt",
        "description": "Schedule a prompt for an agent: once (time), by a cron expression, or at an interval (every)",
        "parameters": [
            AGENT,
            texts("prompt", "What the agent is told", True, minLength=1, maxLength=MAX_PROMPT),
            texts("time", "Once, at this moment: ISO 8601, such as 2030-01-31T09:00 or 2030-01-31T09:00:00+02:00"),
            texts("cron", "At every time that fits: minute hour day month weekday, such as '0 9 * * 1-5'"),
            texts("every", "At this interval: 30s, 5m, 1h, 2d"),
            {
                "name": "max-repetitions",
                "type": "integer",
                "description": "How often at most, of cron and every",
                "required": False,
                "minimum": 1,
                "maximum": MAX_REPETITIONS,
            },
            texts("start-at", "Not before this moment, of cron and every: ISO 8601"),
            texts("timezone", "The time zone of moments without an offset and of cron, such as Europe/Berlin"),
            {
                "name": "skip-validation",
                "type": "boolean",
                "action": "store_true",
                "description": "Do not ask Letta whether it has the agent",
                "required": False,
            },
        ],
        "one_of": [{"names": ["time", "cron", "every"], "required": True}],
        "annotations": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True},
    },
    {
        "name": "list",
        "action": list_schedules,
        "title": "List schedules",
        "description": "The active schedules of an agent, the next first, with what became of the last run",
        "parameters": [
            AGENT,
            {
                "name": "all",
                "type": "boolean",
                "action": "store_true",
                "description": "Also what is done or cancelled, and of all agents unless one is named",
                "required": False,
            },
        ],
        "annotations": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False},
    },
    {
        "name": "cancel",
        "action": cancel,
        "title": "Cancel a schedule",
        "description": "End a schedule",
        "parameters": [
            {
                "name": "id",
                "type": "integer",
                "description": "Its id, as register and list give it",
                "required": True,
                "minimum": 1,
                "maximum": 2**31 - 1,
            }
        ],
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": False},
    },
    {
        "name": "execute",
        "action": execute,
        "title": "Send what is due",
        "description": "Send the prompts that are due now. The plugin's service does so by itself where one runs",
        "parameters": [
            {
                "name": "loop",
                "type": "boolean",
                "action": "store_true",
                "description": "Go on until the program is ended",
                "required": False,
            },
            {
                "name": "interval",
                "type": "integer",
                "description": "With loop: seconds between two looks at what others have scheduled",
                "required": False,
                "default": 30,
                "minimum": 1,
                "maximum": 3600,
            },
        ],
        "annotations": {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True},
    },
    {
        "name": "test",
        "action": test,
        "title": "Test the connection",
        "description": "Ask Letta for its agents, and look at the database of schedules",
        "parameters": [],
        "annotations": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": True},
    },
    {
        "name": "agents",
        "action": agents,
        "title": "List agents",
        "description": "The agents that Letta has, by id and name",
        "parameters": [],
        "annotations": {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": True},
    },
    {
        "name": "upload",
        "action": upload,
        "title": "Upload a tool",
        "description": "Give Letta a tool by its source code in Python, in the place of one of the same name",
        "parameters": [
            texts("name", "The name of the tool: that of the function in the source code", True, minLength=1),
            texts("description", "What the tool does, for the model that chooses", True),
            texts("source-code", "The source code: one function with a docstring", True, minLength=1),
        ],
        "annotations": {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": True, "openWorldHint": True},
    },
]


def describe():
    members = ("name", "title", "description", "parameters", "annotations", "one_of")
    commands = [
        dict({name: command[name] for name in members if name in command}, output="json") for command in COMMANDS
    ]
    description = {
        "contract_version": "1.1",
        "plugin": {"name": "promptyoself", "version": "1.0.0", "description": __doc__},
        "commands": commands,
    }
    # A scheduler that could send nothing would only be started again and again.
    if letta.is_configured() and not missing():
        words = {"name": "scheduler", "command": "execute", "args": ["--loop"]}
        description["services"] = [dict(words, description="Sends each prompt when it is due")]
    return description


def whole(least, most, text):
    number = int(text)
    if not least <= number <= most:
        raise argparse.ArgumentTypeError("{} is not from {} to {}".format(number, least, most))
    return number


def parser():
    program = argparse.ArgumentParser(
        prog="promptyoself",
        description=__doc__,
        epilog="example: cli.py register --agent-id agent-… --prompt 'Good morning' --cron '0 9 * * *'",
    )
    program.add_argument("--describe", action="store_true", help="print what this program offers, as JSON")
    commands = program.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        words = command["description"]
        sub = commands.add_parser(command["name"], help=words, description=words)
        sub.set_defaults(action=command["action"])
        for parameter in command["parameters"]:
            add_argument(sub, parameter)
    return program


def add_argument(sub, parameter):
    flag, words = "--" + parameter["name"], parameter["description"].replace("%", "%%")
    if parameter["type"] == "boolean":
        sub.add_argument(flag, action="store_true", help=words)
        return
    kind = str
    if parameter["type"] == "integer":
        kind = functools.partial(whole, parameter["minimum"], parameter["maximum"])
    sub.add_argument(
        flag, type=kind, required=parameter["required"], default=parameter.get("default"), help=words
    )


def main(words=None):
    program = parser()
    given = program.parse_args(words)
    if given.describe:
        print(json.dumps(describe()))
        return 0
    if given.command is None:
        program.print_help(sys.stderr)
        return 2
    try:
        answer = given.action(given)
    except Failure as failure:
        print(json.dumps(failure.to_json(), indent=2))
        return 1
    if answer is not None:
        print(json.dumps(dict({"ok": True}, **answer), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
