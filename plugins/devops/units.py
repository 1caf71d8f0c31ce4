"""The service of an app: a systemd unit or a docker container, and its log."""

import os

import commands
from failure import Failure
from targets import Command

#: Seconds for a question to the service manager.
LIMIT = 20.0
MAX_LOG = 64 * 1024


def _systemctl(target):
    return ["systemctl", "--user"] if target.systemd_user else ["systemctl"]


def restarts(target):
    """The commands that restart the app: those that are configured, else what restarts its unit."""
    if target.restart:
        return target.restart
    if target.systemd:
        argv = _systemctl(target) + ["restart", target.systemd]
    elif target.docker:
        argv = ["docker", "restart", target.docker]
    else:
        return []
    return [Command(argv, " ".join(argv))]


def state(target):
    """What the service manager says of the unit; `None` if there is no unit."""
    if target.systemd:
        name, argv = target.systemd, _systemctl(target) + ["is-active", target.systemd]
    elif target.docker:
        name, argv = target.docker, ["docker", "inspect", "--format", "{{.State.Status}}", target.docker]
    else:
        return None
    outcome = commands.run(argv, seconds=LIMIT)
    words = outcome.output.splitlines()
    # `systemctl is-active` answers "inactive" with status 3.
    if words and (outcome.is_success or (target.systemd and outcome.status is not None)):
        return {"name": name, "state": words[-1][:200]}
    return {"name": name, "state": "unknown", "fault": "{}: {}".format(outcome.why(), outcome.output[-500:])}


def log(target, lines):
    """The last lines of the app's log, and where they are from."""
    if target.log_file:
        return target.log_file, last_lines(target.log_file, lines)
    if target.systemd:
        source = ["journalctl"] + (["--user"] if target.systemd_user else [])
        argv = source + ["--unit", target.systemd, "--lines", str(lines), "--no-pager", "--output", "short-iso"]
    elif target.docker:
        argv = ["docker", "logs", "--timestamps", "--tail", str(lines), target.docker]
    else:
        message = (
            "{} names no log: set log_file, systemd or docker in apps.toml; kind=deploy shows how its last deploy went"
        )
        raise Failure("no_log", message.format(target.name))
    outcome = commands.run(argv, seconds=LIMIT)
    if not outcome.is_success:
        raise Failure("no_log", "{} failed: {}: {}".format(argv[0], outcome.why(), outcome.output[-1000:]))
    return " ".join(argv), outcome.output


def last_lines(path, lines):
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MAX_LOG))
            content = file.read(MAX_LOG)
    except OSError as fault:
        raise Failure("no_log", "the log cannot be read: {}".format(fault))
    text = content.decode("utf-8", "replace").splitlines()
    return "\n".join(text[-lines:])
