"""The goals, and what the figures say of each."""

import statistics
from dataclasses import dataclass

# Measured elsewhere, side by side with an early smcp on two cores: the Python server is in no registry.
PYTHON_SMCP = {"calls 8": 70.9, "ping 32": 1537, "ready 50": 1380, "waits 64": 39.9, "session KiB": 107}


@dataclass
class Verdict:
    """One goal: what was wanted and found; `met` is None where it was not measured."""

    what: str
    goal: str
    measured: str
    met: bool | None
    group: str


class Figures:
    """The groups' figures by path, such as `calls/warm 8/per_second`."""

    def __init__(self, groups: dict):
        self.groups = groups

    def __getitem__(self, path: str) -> float:
        value = {name: group.get("figures", {}) for name, group in self.groups.items()}
        for name in path.split("/"):
            value = value[name]
        return value


def number(value: float) -> str:
    """As many digits as mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def ratios(ours: dict, theirs: dict, measure: str) -> list[float]:
    """How many times as much, in each round in which both were measured: what else the machine did met both alike."""
    ours, theirs = (one.get("rounds", {}).get(measure, {}) for one in (ours, theirs))
    return [ours[number] / theirs[number] for number in ours if theirs.get(number)]


def spread(found: list[float]) -> str:
    return f"{min(found):.1f} to {max(found):.1f}"


def _rows(f: Figures):
    """What, goal, the command's group, and a function that gives the text and whether it is met."""

    def rate(path):
        return f[f"{path}/per_second"]

    def at_least(value, wanted, unit="/s"):
        return f"{number(value)}{unit}", value >= wanted

    def at_most(value, wanted, unit):
        return f"{number(value)} {unit}", value <= wanted

    def warm_calls():
        ratio, p50, eight = rate("calls/warm 8") / rate("calls/cold 8"), f["calls/warm 1/p50_ms"], rate("calls/warm 8")
        text = f"{ratio:.1f} times, p50 {number(p50)} ms with one client, {number(eight)}/s at 8"
        return text, ratio >= 6 and p50 <= 5 and eight >= 400

    def heavy_calls():
        ratio, eight = rate("heavy/warm 8") / rate("heavy/cold 8"), rate("heavy/warm 8")
        return f"{ratio:.1f} times, {number(eight)}/s at 8", ratio >= 20 and eight >= 230

    def reused_ratio():
        ratio = rate("reused/reused 8") / rate("reused/cold 8")
        return f"{ratio:.1f} times, {number(rate('reused/reused 8'))}/s at 8", ratio >= 35

    def reused_against():
        ours, theirs = (rate(f"compare/{name}/calls 8") for name in ("smcp reused", "FastMCP in-process"))
        return f"{number(ours)}/s, FastMCP {number(theirs)}/s", ours > theirs

    def calls_against(peer):
        found = ratios(f["compare/smcp"], f[f"compare/{peer}"], "calls 8")
        middle = statistics.median(found)
        return f"{middle:.1f} times ({spread(found)} in {len(found)} rounds)", middle >= 6

    def calls_against_python():
        ratio = rate("calls/warm 8") / PYTHON_SMCP["calls 8"]
        return f"{ratio:.1f} times (theirs measured elsewhere)", ratio >= 6

    def waits(name, wanted):
        values = [rate(f"waits/{name} {clients}") for clients in (64, 256)]
        text = " and ".join(f"{number(value)}/s" for value in values)
        return text, all(value >= least for value, least in zip(values, wanted))

    def waits_against_python():
        ratio, many = rate("waits/warm 64") / PYTHON_SMCP["waits 64"], rate("waits/warm 256")
        return f"{ratio:.1f} times at 64 (theirs measured elsewhere), {number(many)}/s at 256", ratio >= 1.3 and many >= 150

    def pings():
        one, many = rate("ping/sse 1"), rate("ping/sse 32")
        p99 = max(f["ping/sse 1/p99_ms"], f["ping/sse 32/p99_ms"])
        text = f"{number(one)}/s at 1, {number(many)}/s at 32, p99 {number(p99)} ms"
        return text, one >= 12_000 and many >= 40_000 and p99 <= 2

    def churns():
        value, left = rate("churn/sse"), f["churn/sse/children_left"]
        grown = f["churn/sse/kib_after"] / f["churn/sse/kib_before"]
        text = f"{number(value)}/s, memory {(grown - 1) * 100:+.0f} %, {left} children more"
        return text, value >= 5_000 and grown <= 1.1 and left <= 0

    def abandoned(name):
        found = f[f"churn/abandoned {name}"]
        text = f"{found['left']} of {found['clients']} left after {number(found['seconds'])} s"
        return text, found["left"] == 0

    def session_size(transport, wanted):
        return at_most(f[f"sessions/{transport}/steps"][-1]["kib_each"], wanted, "KiB")

    def memory_is_linear():
        steps = [step for step in f["sessions/sse/steps"] if step["sessions"] >= 1000]
        sizes = [step["kib_each"] for step in steps]
        text = ", ".join(f"{number(step['kib_each'])} KiB each at {step['sessions']:,}" for step in steps)
        return text, max(sizes) <= 1.25 * min(sizes)

    def calls_are_flat(name):
        rates = [rate(f"parallel/{name} {clients}") for clients in (1, 4, 16, 64, 256, 1000)]
        text = ", ".join(number(value) for value in rates) + "/s at 1, 4, 16, 64, 256, 1,000"
        # One client alone leaves processors unused.
        return text, min(rates[1:]) >= 0.8 * max(rates)

    def lists_grow():
        ratio = f["tools/5000/p50_ms"] / f["tools/500/p50_ms"]
        return f"{ratio:.1f} times, {number(f['tools/5000/p50_ms'])} ms", ratio <= 10

    return [
        (
            "a cold call, above the bare spawn of its command line",
            "≤ 1.5 ms",
            "overhead",
            lambda: at_most(f["overhead/calculate/difference_p50_ms"], 1.5, "ms"),
        ),
        ("warm calls of a stdlib plugin", "≥ 6 times cold, p50 ≤ 5 ms, ≥ 400/s at 8", "calls", warm_calls),
        ("warm calls with heavy imports", "≥ 20 times cold, ≥ 230/s at 8", "heavy", heavy_calls),
        ("reused process", "≥ 35 times cold", "reused", reused_ratio),
        ("reused process, against an in-process tool", "above FastMCP's", "compare", reused_against),
        ("calls/s at 8, against SMCP 3.1.0", "≥ 6 times", "calls", calls_against_python),
        ("calls/s at 8, against FastMCP", "≥ 6 times", "compare", lambda: calls_against("FastMCP")),
        ("calls/s at 8, against rmcp", "≥ 6 times", "compare", lambda: calls_against("rmcp")),
        (
            "tools that wait 1 s, 64 and 256 sessions, warm",
            "≥ 55/s, ≥ 200/s",
            "waits",
            lambda: waits("warm", (55, 200)),
        ),
        ("the same, cold", "≥ 45/s, ≥ 75/s", "waits", lambda: waits("cold", (45, 75))),
        ("the same, against SMCP 3.1.0", "≥ 1.3 times at 64, ≥ 150/s at 256", "waits", waits_against_python),
        ("ping over SSE", "≥ 12,000/s at 1, ≥ 40,000/s at 32, p99 ≤ 2 ms", "ping", pings),
        (
            "ping at 32, against SMCP 3.1.0",
            "≥ 25 times",
            "ping",
            lambda: at_least(rate("ping/sse 32") / PYTHON_SMCP["ping 32"], 25, " times (theirs measured elsewhere)"),
        ),
        ("ready with 50 plugins, asked", "≤ 150 ms", "ready", lambda: at_most(f["ready/asked 50/ms"], 150, "ms")),
        (
            "ready with 50 plugins, descriptions kept",
            "≤ 50 ms",
            "ready",
            lambda: at_most(f["ready/kept 50/ms"], 50, "ms"),
        ),
        ("an idle SSE session, 10,000 of them", "≤ 23 KiB", "sessions", lambda: session_size("sse", 23)),
        ("the same, as the aim", "≤ 12 KiB", "sessions", lambda: session_size("sse", 12)),
        ("sessions that come and go", "≥ 5,000/s, memory flat, no child left", "churn", churns),
        ("clients that leave in mid-call, cold", "no program left", "churn", lambda: abandoned("cold")),
        ("clients that leave in mid-call, warm", "no program left", "churn", lambda: abandoned("warm")),
        ("binary, stripped", "≤ 8 MB", "size", lambda: at_most(f["size/binary/bytes"] / 1e6, 8, "MB")),
        (
            "resident at the start, without warm interpreters",
            "≤ 8 MiB",
            "size",
            lambda: at_most(f["size/without warm interpreters/server_kib"] / 1024, 8, "MiB"),
        ),
        (
            "cold calls from 4 to 1,000 sessions",
            "flat: the least ≥ 80 % of the most",
            "parallel",
            lambda: calls_are_flat("cold"),
        ),
        (
            "warm calls from 4 to 1,000 sessions",
            "flat: the least ≥ 80 % of the most",
            "parallel",
            lambda: calls_are_flat("warm"),
        ),
        ("memory of idle sessions", "linear: KiB each within 25 %", "sessions", memory_is_linear),
        ("tools/list of 5,000 tools", "≤ 10 times that of 500", "tools", lists_grow),
    ]


def verdicts(groups: dict) -> list[Verdict]:
    found = []
    for what, goal, group, judge in _rows(Figures(groups)):
        try:
            measured, met = judge()
        except (KeyError, ZeroDivisionError, IndexError, statistics.StatisticsError):
            measured, met = "not measured", None
        found.append(Verdict(what, goal, measured, met, group))
    return found
