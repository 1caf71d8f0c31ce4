"""Owns the run of one suite: every check of every table against one door; knows no check."""

import asyncio
import sys

import examples  # noqa: F401  (puts its checks into the table, as the next one does)
import offers  # noqa: F401
import printed  # noqa: F401
from checks import CHECKS, Door
from report import Report


async def walk(client, door) -> int:
    """Runs all checks against one door and returns the exit code."""
    report = Report()
    for topic, claim, run in CHECKS:
        await report.check(topic, claim, run(client, door))
    return report.close()


def main(client) -> None:
    """The door's name is the only argument."""
    sys.exit(asyncio.run(walk(client, Door.named(sys.argv[1]))))
