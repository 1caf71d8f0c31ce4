"""Deploy and rollback: the steps, their order, and what happens when one of them fails."""

import contextlib
import os
import time

import commands
import events
import sources
import units
from failure import Failure, Stopped
from health import wait_until_healthy
from releases import Releases, now

#: Characters of a failed step's output in the error; all of the kept output is in the log of the deploy.
SHOWN_OUTPUT = 2000
#: Seconds for the restart of the earlier release when the caller has gone: SIGKILL comes 5 s after SIGTERM.
STOP_LIMIT = 3.0


class Run:
    """One deploy or rollback: its steps, as they are reported, noted for a crash, and logged."""

    def __init__(self, releases, action, total):
        self.releases = releases
        self.action = action
        self.version = None
        self.steps = []
        #: Whether steps are noted on disk. Going back is not: it must work where nothing can be written.
        self.is_noted = False
        self._total = total
        self._before = None
        self._log = []

    def begin(self, version, before):
        """Notes what is done, before anything is: who comes after a crash finds it."""
        self.version = version
        self._before = before
        self.is_noted = True

    @contextlib.contextmanager
    def step(self, name, message):
        events.progress(len(self.steps), self._total, message)
        if self.is_noted:
            running = {
                "action": self.action,
                "version": self.version,
                "from": self._before,
                "step": name,
                "since": now(),
            }
            self.releases.save_state(running=running)
        step = {"step": name}
        self.steps.append(step)
        began = time.monotonic()
        try:
            yield step
        finally:
            step["seconds"] = round(time.monotonic() - began, 2)

    def command(self, name, command, directory, version, seconds=None):
        """Runs a configured command as a step.

        # Errors
        With the end of its output, if it fails.
        """
        target = self.releases.target
        variables = dict(
            target.variables,
            APP_NAME=target.app,
            APP_ENVIRONMENT=target.environment,
            APP_VERSION=version,
            APP_RELEASE=self.releases.directory(version),
        )
        with self.step(name, "{}: {}".format(name, command.shown[:100])) as step:
            limit = target.step_timeout if seconds is None else seconds
            # A restart may start the app itself; what a build leaves running is ended.
            outcome = commands.run(command.argv, directory, variables, limit, leaves_processes=name == "restart")
            step["command"] = command.shown[:500]
            self._log.append("$ {}\n{}".format(command.shown, outcome.output).rstrip())
            if not outcome.is_success:
                step["fault"] = outcome.why()
                message = "{} ({}) failed: {}".format(name, command.shown[:200], outcome.why())
                if outcome.output:
                    message += "; its output ends with: " + outcome.output[-SHOWN_OUTPUT:]
                raise Failure("step_failed", message, output=outcome.output[-SHOWN_OUTPUT:])

    def end(self, outcome, **changes):
        """Notes how it ended, and writes the log of the steps."""
        self._log.append("{} of {}: {}".format(self.action, self.version, outcome))
        path = os.path.join(self.releases.own, "last.log")
        last = {"action": self.action, "version": self.version, "outcome": outcome, "at": now()}
        # What was done is done, also on a full disk: the next deploy then finds this one as interrupted.
        with contextlib.suppress(OSError):
            with open(path + ".new", "w", encoding="utf-8", errors="replace") as file:
                file.write("\n".join(self._log) + "\n")
            os.replace(path + ".new", path)
            self.releases.save_state(running=None, last=last, **changes)


def deploy(target):
    """Makes a release of the source and makes it current; goes back by itself if it does not work."""
    releases = Releases(target)
    with releases.locked("deploy"):
        recovered = releases.recover()
        before = releases.current()
        restarts = units.restarts(target)
        run = Run(releases, "deploy", 3 + bool(target.health) + len(target.build) + len(target.check) + len(restarts))
        source = sources.Source(target, releases.own)
        with run.step("source", "looking at " + sources.describe(target.source)):
            facts = source.identify()
        version, number = releases.new_version(facts.pop("label"))
        run.begin(version, before)
        try:
            _prepare(run, source, dict(facts, number=number, source=sources.describe(target.source)))
        except (Failure, OSError) as fault:
            with contextlib.suppress(OSError):
                releases.discard(version)
            run.end("failed before the switch")
            message = "{} was not deployed, {} is still current: {}"
            message = message.format(target.name, before or "no release", getattr(fault, "message", fault))
            raise Failure(getattr(fault, "code", "failed"), message, current=before, steps=run.steps)
        except Stopped:
            run.end("stopped before the switch")
            with contextlib.suppress(OSError):
                releases.discard(version)
            raise
        seen = _activate(run, version, _fallback(releases, before))
        answer = {"version": version, "previous": before, "health": seen, "steps": run.steps}
        try:
            answer["removed"] = releases.prune()
        except OSError as fault:
            answer["not_removed"] = str(fault)
        if recovered:
            answer["recovered"] = recovered
        return dict(answer, **facts)


def rollback(target, version):
    """Makes a release that is still there current again."""
    releases = Releases(target)
    with releases.locked("rollback"):
        recovered = releases.recover()
        before = releases.current()
        if version == "previous":
            version = releases.state().get("previous")
            if version is None:
                raise Failure("no_such_version", "{} has no previous release".format(target.name))
        known = [record["version"] for record in releases.records()]
        if version not in known:
            message = "{} has no release {!r}; it has {}".format(target.name, version, ", ".join(known) or "none")
            raise Failure("no_such_version", message, versions=known)
        if version == before and not recovered:
            return {"version": version, "previous": releases.state().get("previous"), "changed": False}
        run = Run(releases, "rollback", 1 + bool(target.health) + len(units.restarts(target)))
        run.begin(version, before)
        seen = _activate(run, version, before)
        answer = {"version": version, "previous": before, "changed": True, "health": seen, "steps": run.steps}
        if recovered:
            answer["recovered"] = recovered
        return answer


def _prepare(run, source, facts):
    """Everything before the switch. The record comes last: with it the release is complete."""
    releases, version = run.releases, run.version
    directory = releases.directory(version)
    with run.step("fetch", "fetching the files of " + version):
        os.mkdir(directory)
        source.fill(directory)
    for name in ("build", "check"):
        for command in getattr(releases.target, name):
            run.command(name, command, directory, version)
    releases.record(version, created=now(), verified=False, **facts)


def _fallback(releases, before):
    """Where to go back to: a release that was well once, the newest first; else what was there before."""
    records = {record["version"]: record for record in releases.records()}
    candidates = [before, releases.state().get("previous")] + list(records)
    for version in candidates:
        if version in records and records[version].get("verified"):
            return version
    return before


def _activate(run, version, fallback):
    """Switches, restarts, asks for the health; goes back to `fallback` if that fails.

    # Errors
    Says what failed and what is current now.
    """
    releases = run.releases
    before = releases.current()
    try:
        try:
            seen = _start(run, version)
        except (Failure, OSError) as fault:
            raise _go_back(run, version, fallback, before, getattr(fault, "message", str(fault)))
    except Stopped:
        run.is_noted = False
        if fallback and fallback != version:
            releases.switch(fallback)
            for command in units.restarts(releases.target):
                with contextlib.suppress(Failure, OSError):
                    run.command("restart", command, releases.link, fallback, STOP_LIMIT)
        run.end("stopped")
        raise
    with contextlib.suppress(OSError):
        releases.record(version, verified=True, failed=None)
    run.end("done", previous=before if before != version else releases.state().get("previous"))
    return seen


def _start(run, version):
    """Makes a release current and running."""
    releases, target = run.releases, run.releases.target
    with run.step("switch", "making {} the current release".format(version)):
        releases.switch(version)
    for command in units.restarts(target):
        run.command("restart", command, releases.link, version)
    if target.health is None:
        return None
    with run.step("health", "waiting for {}".format(target.health.url)) as step:
        seen = wait_until_healthy(target.health, version)
        if not seen["healthy"]:
            step["fault"] = seen["fault"]
            message = "the health check of {} failed for {:g} s: {}"
            raise Failure("unhealthy", message.format(target.health.url, seen["seconds"], seen["fault"]))
    return seen


def _go_back(run, version, fallback, before, why):
    """Goes back to `fallback`, and returns the failure that tells what happened."""
    releases, target = run.releases, run.releases.target
    details = {"failed_version": version, "steps": run.steps}
    if fallback is None or fallback == version:
        run.end("unhealthy")
        message = "{} of {} failed: {}. There is no earlier release to go back to: {} stays current"
        message = message.format(run.action, target.name, why, version)
        return Failure("unhealthy", message, current=version, **details)
    run.is_noted = False
    try:
        seen = _start(run, fallback)
    except (Failure, OSError) as fault:
        run.end("rolled back, and the earlier release is not well")
        message = "{} of {} to {} failed: {}. The link leads to {} again, but that release is not well: {}"
        message = message.format(run.action, target.name, version, why, fallback, getattr(fault, "message", fault))
        return Failure("rollback_failed", message, current=releases.current(), **details)
    if run.action == "deploy":
        # The next deploy removes it.
        with contextlib.suppress(OSError):
            releases.record(version, failed=why[:500])
    previous = releases.state().get("previous")
    run.end("rolled back", previous=None if previous == fallback else previous)
    is_well = ", which is healthy" if seen else ""
    message = "{} of {} to {} failed: {}. Rolled back: {} is current again{}"
    message = message.format(run.action, target.name, version, why, fallback, is_well)
    if before not in (None, fallback):
        message += " ({} was current before, but was never seen healthy)".format(before)
    return Failure("rolled_back", message, current=fallback, health=seen, **details)
