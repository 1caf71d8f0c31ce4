"""smcp beside what a user could take instead: the same plugins, the same interpreter, in turn."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench import Bench, Enough, medians
from groups import COLD, REUSED, SUM, abandoned
from peers import PEER_KINDS
from places import PLUGINS, Failed
from servers import Kind, Server, copies, smcp, usual_plugins

# Everything together, in seconds; the rounds that fit are made. A quarter of an hour is what the whole may take.
LIMIT = 13 * 60
ROUNDS = 7
MEASUREMENTS = ("calls 1", "calls 8", "calls 32", "ping 1", "ping 32", "churn 16")
# Slow ones get longer windows, in seconds, but not so long that there is no time for rounds.
LONGEST_WINDOW = 5.0
IDLE_SESSIONS = 300
# After so many failures nothing more is asked of one.
MAX_FAILURES = 3


@dataclass
class Contender:
    """One way to serve the plugins, and what was found of it."""

    name: str
    make: Callable[[], Kind]
    plugins: Callable[[Path], Path] = usual_plugins
    tools: int = 4
    tool: tuple[str, dict] = SUM
    # Whether each of its calls starts a program, as all do that are compared in everything.
    spawns: bool = True
    kind: Kind | None = None
    windows: dict[str, Enough] = field(default_factory=dict)
    server: Server | None = None
    has_learned: bool = False
    failures: list[str] = field(default_factory=list)
    # By what was measured and the number of the round.
    found: dict[str, dict[int, dict]] = field(default_factory=dict)

    @property
    def is_out(self) -> bool:
        return len(self.failures) >= MAX_FAILURES or (self.kind is None and bool(self.failures))

    def attempt(self, what: str, number: int, measure: Callable[[], dict]) -> None:
        """Measures, or keeps why it could not: then it is started anew for what comes next."""
        if self.is_out:
            return
        try:
            found = measure()
            self.found.setdefault(what, {})[number] = found
        except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as failure:
            self.failures.append(f"{what}: {failure}")
            print(f"    {self.name}: {self.failures[-1]}", flush=True)
            self.stop()

    def stop(self) -> None:
        if self.server:
            self.server.end()
            self.server, self.has_learned = None, False


def compare(bench: Bench) -> dict:
    """every server beside the others, each measured once in every round"""
    begun = time.monotonic()
    bench.until = begun + LIMIT
    everybody = _contenders(bench)
    try:
        for contender in everybody:
            _prepare(contender)
        for contender in everybody:
            _once(bench, contender)
        number, longest = 0, 0.0
        # What is left of the time is for rounds; the first one also starts everybody.
        while number < _rounds(bench) and (not number or time.monotonic() + longest < bench.until):
            began = time.monotonic()
            _round(bench, everybody, number)
            number, longest = number + 1, time.monotonic() - began
    finally:
        for contender in everybody:
            contender.stop()
        bench.until = float("inf")
    return {contender.name: _figures(contender) for contender in everybody}


def _rounds(bench: Bench) -> int:
    return ROUNDS if bench.pace >= 1 else 2


def _contenders(bench: Bench) -> list[Contender]:
    def ours(**settings: str) -> Kind:
        return smcp(bench.binary, MCP_PYTHON=bench.python, MCP_CACHE="off", **settings)

    def reused_plugin(folder: Path) -> Path:
        return bench.plugins(reused=PLUGINS / "reused")

    everybody = [
        Contender("smcp", ours),
        Contender("smcp cold", lambda: ours(**COLD)),
        Contender("smcp reused", ours, reused_plugin, 1, REUSED, spawns=False),
    ]
    for name, make in PEER_KINDS.items():
        peer = Contender(name, lambda make=make: make(bench.python))
        if name == "FastMCP in-process":
            peer.tools, peer.spawns = 1, False
        everybody.append(peer)
    return everybody


def _prepare(contender: Contender) -> None:
    try:
        contender.kind = contender.make()
    except (Failed, OSError, ValueError, subprocess.SubprocessError) as failure:
        contender.failures.append(f"not installed: {failure}")
        print(f"    {contender.name}: {contender.failures[-1]}", flush=True)


def _round(bench: Bench, everybody: list[Contender], number: int) -> None:
    """One after the other in each measurement, so that whatever else the machine does meets all alike."""
    # Another one is first each time.
    turn = everybody[number % len(everybody) :] + everybody[: number % len(everybody)]
    print(f"  round {number + 1}, {bench.until - time.monotonic():.0f} s are left", flush=True)
    for what in MEASUREMENTS:
        for contender in turn:
            if contender.tool is not REUSED or what.startswith("calls"):
                contender.attempt(what, number, lambda c=contender, w=what: _measured(bench, c, w))


def _measured(bench: Bench, contender: Contender, what: str) -> dict:
    server = _running(bench, contender)
    kind, clients = what.split()
    if kind == "calls":
        # What learns from calls has learned.
        if not contender.has_learned:
            bench.warmed_up(server, *contender.tool, seconds=1.5)
            contender.has_learned = True
        measure = Enough(
            bench.window(1.5),
            lambda seconds: contender.server.call(*contender.tool, clients=clients, seconds=seconds, warmup=0.4),
            longest=LONGEST_WINDOW,
        )
        return contender.windows.setdefault(what, measure)()
    if kind == "ping":
        return server.load("requests", clients=clients, seconds=bench.window(1), warmup=0.3)
    return server.load("churn", clients=clients, seconds=bench.window(1), warmup=0.2)


def _running(bench: Bench, contender: Contender) -> Server:
    """Its server, started where there is none."""
    if contender.server is None:
        contender.server = bench.start(contender.kind, contender.plugins(bench.fresh("usual")), contender.tools)
    return contender.server


def _once(bench: Bench, contender: Contender) -> None:
    """What one look is enough for, each with a server of its own."""
    if contender.is_out or contender.tool is REUSED:
        return
    print(f"  once: {contender.name}, {bench.until - time.monotonic():.0f} s are left", flush=True)

    def many() -> dict:
        with bench.start(contender.kind, copies(bench.fresh("copies"), 50), 150) as server:
            return {"ms": server.ready_ms}

    def start() -> dict:
        contender.stop()
        return {"ms": _running(bench, contender).ready_ms}

    def resident() -> dict:
        found = _running(bench, contender).load("idle", sessions=str(IDLE_SESSIONS), clients=1, seconds=0)
        return found["steps"][0] | {"server_kib": found["before"]["server_kib"]}

    def waits() -> dict:
        server = _running(bench, contender)
        server.call("waits__nap", {"seconds": 0.01}, clients=8, seconds=1, warmup=0)
        return server.call("waits__nap", {"seconds": 1}, clients=64, seconds=bench.window(4), warmup=2)

    def left() -> dict:
        return abandoned(bench, _running(bench, contender), warm_up=False)

    if contender.spawns:
        contender.attempt("ready 50", 0, many)
    contender.attempt("ready 2", 0, start)
    contender.attempt("resident", 0, resident)
    if contender.spawns:
        contender.attempt("waits 64", 0, waits)
        contender.attempt("abandoned", 0, left)
    # What was abandoned may run on: nobody else is to be slowed down by it.
    contender.stop()
    contender.attempt("ready 2", 1, start)


def _figures(contender: Contender) -> dict:
    """Medians of all rounds, what was answered in each, and what failed."""
    figures = {
        "version": contender.kind.version if contender.kind else "",
        "failures": contender.failures,
        "rounds": {
            what: {str(number): round(one["per_second"], 1) for number, one in found.items()}
            for what, found in contender.found.items()
            if what not in ("ready 2", "ready 50", "resident", "abandoned")
        },
    }
    for what, found in contender.found.items():
        figures[what] = medians(list(found.values()))
        if told := sorted({error for one in found.values() for error in one.get("errors_told", [])}):
            figures[what]["errors_told"] = told[:3]
    return figures
