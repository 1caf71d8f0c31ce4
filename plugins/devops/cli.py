#!/usr/bin/env python3
"""Deploys apps, rolls them back, and says how they are, as apps.toml describes them."""

import argparse
import json
import os
import signal
import sys

import config
import deploying
import sources
import units
from failure import Failure, Stopped
from health import wait_until_healthy
from releases import Releases

#: Seconds for the one request by which `status` asks for the health.
HEALTH_LIMIT = 3.0
MAX_LOG = 64 * 1024

APP = {"name": "app-name", "type": "string", "description": "The app, as `list` names it", "required": True}
OPTIONAL_ENVIRONMENT = {
    "name": "environment",
    "type": "string",
    "description": "The environment; may be left out if there is only one that fits",
    "required": False,
}


def listed(given):
    settings = config.load()
    apps = {}
    for target in settings.targets:
        app = apps.setdefault(target.app, {"app": target.app, "description": target.description, "environments": []})
        entry = {"environment": target.environment, "source": sources.describe(target.source)}
        try:
            entry["version"] = Releases(target).current()
        except Failure as fault:
            entry["fault"] = fault.message
        app["environments"].append(entry)
    return {"configuration": settings.path, "apps": list(apps.values())}


def deploy(given):
    target = config.load().target(given.app_name, given.environment)
    return dict({"app": target.app, "environment": target.environment}, **deploying.deploy(target))


def rollback(given):
    target = _holder(config.load(), given.app_name, given.environment, given.version)
    return dict({"app": target.app, "environment": target.environment}, **deploying.rollback(target, given.version))


def _holder(settings, app, environment, version):
    """The environment that is meant: the one that is named, or the only one with this release."""
    if environment:
        return settings.target(app, environment)
    targets = settings.environments(app)
    known = {name: [record["version"] for record in Releases(target).records()] for name, target in targets.items()}
    holders = [name for name in targets if version in known[name]]
    if version == "previous" or (not holders and len(targets) == 1):
        holders = list(targets)
    if len(holders) == 1:
        return targets[holders[0]]
    if holders:
        message = "{!r} is in several environments of {!r}: name one as environment: {}"
        raise Failure("ambiguous", message.format(version, app, ", ".join(holders)), environments=holders)
    shown = "; ".join("{}: {}".format(name, ", ".join(known[name]) or "none") for name in sorted(known))
    raise Failure(
        "no_such_version",
        "no environment of {!r} has a release {!r}; there are {}".format(app, version, shown),
        versions=known,
    )


def status(given):
    settings = config.load()
    targets = settings.environments(given.app_name)
    if given.environment:
        targets = {given.environment: settings.target(given.app_name, given.environment)}
    return {"app": given.app_name, "environments": [_status_of(target) for target in targets.values()]}


def _status_of(target):
    releases = Releases(target)
    state, records = releases.state(), releases.records()
    answer = {"environment": target.environment, "source": sources.describe(target.source)}
    try:
        current = releases.current()
    except Failure as fault:
        return dict(answer, fault=fault.message)
    answer.update(version=current, previous=state.get("previous"), running=None, last=state.get("last"))
    holder = releases.is_locked()
    if holder:
        answer["running"] = dict(state.get("running") or {}, by=holder)
    elif state.get("running"):
        answer["interrupted"] = state["running"]
        answer["advice"] = "a deploy was interrupted; deploy again, or roll back to a release that was verified"
    answer["releases"] = [_release(record, current) for record in records[: target.keep + 5]]
    answer["unit"] = units.state(target)
    answer["health"] = None
    if target.health and current:
        answer["health"] = wait_until_healthy(target.health, current, min(HEALTH_LIMIT, target.health.timeout))
    return answer


def _release(record, current):
    members = ("version", "created", "verified", "failed", "commit", "ref", "sha256")
    shown = {name: record[name] for name in members if record.get(name) is not None}
    return dict(shown, current=record["version"] == current)


def logs(given):
    settings = config.load()
    if given.environment:
        target = settings.target(given.app_name, given.environment)
    else:
        targets = settings.environments(given.app_name)
        if len(targets) > 1:
            message = "{!r} has several environments: name one as environment: {}"
            raise Failure(
                "ambiguous", message.format(given.app_name, ", ".join(sorted(targets))), environments=sorted(targets)
            )
        target = next(iter(targets.values()))
    if given.kind == "deploy":
        path = os.path.join(Releases(target).own, "last.log")
        if not os.path.isfile(path):
            raise Failure("no_log", "{} has not been deployed yet".format(target.name))
        origin, text = path, units.last_lines(path, given.lines)
    else:
        origin, text = units.log(target, given.lines)
    return {"app": target.app, "environment": target.environment, "source": origin, "log": text[-MAX_LOG:]}


READ_ONLY = {"readOnlyHint": True, "destructiveHint": False, "idempotentHint": True, "openWorldHint": False}
CHANGING = {"readOnlyHint": False, "destructiveHint": True, "idempotentHint": False, "openWorldHint": True}
COMMANDS = [
    {
        "name": "deploy",
        "run": deploy,
        "changes": True,
        "title": "Deploy an app",
        "description": "Deploy an app: fetch, build and check a release, switch to it, restart the app and wait until "
        "it is healthy; if it is not, the earlier release is made current again and the call fails",
        "parameters": [
            APP,
            {
                "name": "environment",
                "type": "string",
                "description": "The environment, as `list` names it",
                "required": True,
            },
        ],
        "annotations": CHANGING,
    },
    {
        "name": "rollback",
        "run": rollback,
        "changes": True,
        "title": "Roll an app back",
        "description": "Make an earlier release current again, restart the app and wait until it is healthy",
        "parameters": [
            APP,
            {
                "name": "version",
                "type": "string",
                "description": "The release, as `status` names it, or `previous`",
                "required": True,
            },
            OPTIONAL_ENVIRONMENT,
        ],
        "annotations": dict(CHANGING, idempotentHint=True),
    },
    {
        "name": "status",
        "run": status,
        "title": "State of an app",
        "description": "Which release is current, which others are there, whether a deploy runs or was interrupted, "
        "and how the unit and the health check are",
        "parameters": [APP, OPTIONAL_ENVIRONMENT],
        "annotations": READ_ONLY,
    },
    {
        "name": "list",
        "run": listed,
        "title": "List of apps",
        "description": "The apps that can be deployed, with their environments and current releases",
        "parameters": [],
        "annotations": READ_ONLY,
    },
    {
        "name": "logs",
        "run": logs,
        "title": "Log of an app",
        "description": "The last lines of an app's log, or of what the commands of its last deploy printed",
        "parameters": [
            APP,
            OPTIONAL_ENVIRONMENT,
            {
                "name": "lines",
                "type": "integer",
                "description": "How many lines",
                "required": False,
                "default": 100,
                "minimum": 1,
                "maximum": 1000,
            },
            {
                "name": "kind",
                "type": "string",
                "description": "`app`: the app's own log; `deploy`: the output of its last deploy or rollback",
                "required": False,
                "default": "app",
                "enum": ["app", "deploy"],
            },
        ],
        "annotations": READ_ONLY,
    },
]


def describe():
    members = ("name", "title", "description", "parameters", "annotations")
    commands = [dict({name: command[name] for name in members}, output="json") for command in COMMANDS]
    plugin = {"name": "devops", "version": "1.0.0", "description": __doc__}
    return {"contract_version": "1.1", "plugin": plugin, "commands": commands}


def parser():
    epilog = "example: cli.py deploy --app-name shop --environment staging"
    program = argparse.ArgumentParser(prog="devops", description=__doc__, epilog=epilog)
    program.add_argument("--describe", action="store_true", help="print what this program offers, as JSON")
    commands = program.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    for command in COMMANDS:
        words = command["description"]
        sub = commands.add_parser(command["name"], help=words, description=words)
        sub.set_defaults(run=command["run"], changes=command.get("changes", False))
        for parameter in command["parameters"]:
            sub.add_argument(
                "--" + parameter["name"],
                type=whole if parameter["type"] == "integer" else str,
                required=parameter["required"],
                default=parameter.get("default"),
                choices=parameter.get("enum"),
                help=parameter["description"],
            )
    return program


def whole(text):
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError("{} is not from 1 to 1000".format(number))
    return number


def stop(number, _):
    """The first signal ends the work in order; further ones do not disturb that."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)


def main():
    program = parser()
    given = program.parse_args()
    if given.describe:
        print(json.dumps(describe()))
        return 0
    if given.command is None:
        program.print_help(sys.stderr)
        return 2
    if given.changes:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, stop)
    try:
        print(json.dumps(dict({"ok": True}, **given.run(given)), indent=2))
    except Failure as failure:
        print(json.dumps(failure.to_json(), indent=2))
        return 1
    except OSError as fault:
        print(json.dumps(Failure("system_error", "{}: {}".format(given.command, fault)).to_json(), indent=2))
        return 1
    except Stopped as stopped:
        message = "the {} was stopped by a signal; ask for status to see which release is current".format(given.command)
        print(json.dumps(Failure("stopped", message).to_json(), indent=2))
        return 128 + stopped.args[0]
    return 0


if __name__ == "__main__":
    sys.exit(main())
