"""The curves: how smcp grows with sessions, tools, calls at once and plugins, and what bends first."""

from pathlib import Path

import plot
from goals import number


def _points(figures: dict, prefix: str, value) -> list[tuple[float, float]]:
    keys = [key for key in figures if key.startswith(prefix)]
    return sorted((int(key.removeprefix(prefix)), value(figures[key])) for key in keys)


def _bend(points: list[tuple[float, float]], factor: float) -> tuple[float, float] | None:
    """The first point whose `y` is more than so many times what a straight line through the one before gives."""
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        if y1 / y0 > factor * x1 / x0:
            return x1, y1
    return None


def sessions(figures: dict, _cores: int, folder: Path) -> str:
    steps = figures["sse"]["steps"]
    before = figures["sse"]["before"]["server_kib"] / 1024
    memory = [(s["sessions"], s["usage"]["server_kib"] / 1024 - before) for s in steps]
    pings = [(s["sessions"], s["beside_per_second"]) for s in steps]
    plot.write(
        folder / "sessions.svg", "Idle SSE sessions", "sessions", "MiB more; pings/s",
        [plot.Curve("memory, MiB", memory), plot.Curve("pings/s of one more client", pings)],
    )  # fmt: skip
    after = figures["sse"]["after"]["server_kib"] / 1024
    slowest, first, last = min(pings, key=lambda point: point[1]), pings[0], steps[-1]
    beside = (
        "which do not slow it down, for they take no processor"
        if slowest[1] >= 0.8 * first[1]
        else "more connections to look after, and memory that no longer fits the processor's caches"
    )
    return (
        f"Memory bends first, and grows as a straight line: {number(last['kib_each'])} KiB for each of "
        f"{last['sessions']:,} sessions, since each holds a connection, its buffers and its stream. One more client "
        f"does {number(first[1])} pings/s beside {first[0]:,} sessions, and {number(slowest[1])}/s at the least, beside "
        f"{slowest[0]:,}: {beside}. When all had gone, {number(after)} MiB were resident, and {number(before)} before "
        "the first."
    )


def tools(figures: dict, _cores: int, folder: Path) -> str:
    times = _points(figures, "", lambda found: found["p50_ms"])
    sizes = _points(figures, "", lambda found: found["answer_bytes"] / 1024)
    plot.write(
        folder / "tools.svg", "tools/list", "tools", "p50 in ms; KiB of an answer",
        [plot.Curve("p50, ms", times), plot.Curve("answer, KiB", sizes)],
    )  # fmt: skip
    (_, time), (count, size) = times[-1], sizes[-1]
    bend = _bend(times[1:], 1.5)
    where = f"The time bends at {bend[0]:,} tools" if bend else "The time grows no faster than the list"
    cpu = figures[str(count)]["server_cpu_ms"], figures[str(count)]["generator_cpu_ms"]
    return (
        f"{where}: {number(time)} ms and {number(size)} KiB with {count:,} tools, of which the server computes "
        f"{number(cpu[0])} ms and the client {number(cpu[1])} ms; the rest is the way of so many bytes through the "
        "system. Long before that, the list is longer than what a model can read; [the governor](governor.md) "
        "shortens it."
    )


def parallel(figures: dict, cores: int, folder: Path) -> str:
    curves = [
        plot.Curve(name, _points(figures, f"{name} ", lambda found: found["per_second"])) for name in ("cold", "warm")
    ]
    plot.write(folder / "parallel.svg", "Calls at once", "clients", "calls/s", curves)
    lines = []
    for curve in curves:
        clients, most = max(curve.points, key=lambda point: point[1])
        enough = next(x for x, y in curve.points if y >= 0.9 * most)
        found = figures[f"{curve.name} {enough}"]
        cpu_ms = sum(found[f"{part}_cpu_ms"] for part in ("server", "children", "generator"))
        busy, last = cpu_ms * found["per_second"] / 1e3 / cores, curve.points[-1]
        lines.append(
            f"{curve.name.capitalize()}, {enough} clients get nine tenths of all there is ({number(most)}/s at "
            f"{clients}); then {busy * 100:.0f} % of the processor time of {cores} cores is used, "
            f"{number(found['children_cpu_ms'])} ms for each call by its own processes. {last[0]:,} clients get "
            f"{number(last[1])}/s."
        )
    return "The processors bend first. " + " ".join(lines)


def ready(figures: dict, cores: int, folder: Path) -> str:
    curves = [
        plot.Curve(words, _points(figures, f"{name} ", lambda found: found["ms"]))
        for name, words in (("asked", "each plugin asked"), ("kept", "descriptions kept"))
    ]
    plot.write(folder / "plugins.svg", "From the start until a client sees all tools", "plugins", "ms", curves)
    (asked_count, asked), (_, kept) = curves[0].points[-1], curves[1].points[-1]
    return (
        f"Asking bends first: each plugin is a Python that starts, {number(asked / asked_count)} ms for each of "
        f"{asked_count:,} on {cores} cores. From kept descriptions {asked_count:,} plugins are ready in "
        f"{number(kept)} ms."
    )


CURVES = {"sessions": sessions, "tools": tools, "parallel": parallel, "ready": ready}
PICTURES = {"sessions": "sessions", "tools": "tools", "parallel": "parallel", "ready": "plugins"}
TITLES = {"sessions": "Sessions", "tools": "Tools", "parallel": "Calls at once", "ready": "Plugins"}
