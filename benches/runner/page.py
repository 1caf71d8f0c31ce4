"""docs/benchmarks.md, from the figures of the last runs. Measures nothing."""

import json
from pathlib import Path

from curves import CURVES, PICTURES, TITLES
from goals import number, verdicts
from groups import GROUPS
from peers_page import compare_section
from reasons import Reasons
from tables import table

# The share of the processor time that others may take before figures are said to be of a busy machine.
BUSY = 0.2

HEAD = """# Benchmarks

*Written by `benches/run` from [the figures](benchmarks/results.json); changes by hand are lost.*

How fast smcp is on the machine below, and how it compares with what can be used instead. This page was written by the
program that measured; `just bench` measures smcp again and rewrites the page, `just bench-peers` does the same for the
comparison. [How it is measured](#how-it-is-measured) stands at the end.

"""

METHOD = """## How it is measured

`benches/load` is a load generator of this project. Each of its clients asks, waits for the answer and asks again (a
*closed loop*), on connections that stay open: over HTTP+SSE answers are read from the session's stream, over Streamable
HTTP from each request. Every answer is parsed, and one that is an error, or not what was expected, counts as an error and
not as an answer. Times are exact, not put into classes. A measurement has a warm-up that does not count, a window of one
to five seconds, longer where fewer than twenty answers came in it, and limits for everything else.

- The generator runs on the same machine and takes its part of the processors: see the column for it.
- *cold* is smcp with warm interpreters turned off: every call starts one. *warm* is smcp with its own settings.
- Where several rounds are made, every measurement is made once in each of them, and the median of the rounds is shown.
- Processor times are from `/proc`: of the server alone, and of all processes below it. Memory is the resident size of the
  server alone (`VmRSS`), which does not include the system's buffers of connections.
- The interpreter is named by its own path. A shim in its place, as version managers install it, would add its start to
  each cold call.
- Plugins under measurement: `plugins/demo_math`, and those in `benches/plugins`.
- Allocations are counted inside one thread, without a transport (`benches/allocations.rs`). Micro-benchmarks of the parts:
  `just bench-micro`.
"""


def loop_rows(figures: dict, names: dict[str, str]) -> list[list[str]]:
    return [
        [words]
        + [number(found[name]) for name in ("per_second", "p50_ms", "p90_ms", "p99_ms", "max_ms")]
        + [f"{found[name]:.3f}" for name in ("server_cpu_ms", "children_cpu_ms", "generator_cpu_ms")]
        + [f"{found['errors']:.0f}"]
        for key, words in names.items()
        if (found := figures.get(key))
    ]


LOOP_HEAD = [
    "",
    "per second",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "max ms",
    "CPU ms: server",
    "children",
    "generator",
    "errors",
]


def spaced(prefixes: dict[str, str], clients: tuple) -> dict[str, str]:
    return {
        f"{prefix} {count}": f"{words}, {count} client" + ("s" if count > 1 else "")
        for prefix, words in prefixes.items()
        for count in clients
    }


LOOPS = {
    "ping": spaced({"sse": "ping, HTTP+SSE", "mcp": "ping, Streamable HTTP"}, (1, 32))
    | {"list 8": "tools/list of 6 tools, HTTP+SSE, 8 clients"},
    "calls": spaced({"cold": "cold", "warm": "warm"}, (1, 8, 32)),
    "heavy": spaced({"cold": "cold", "warm": "warm"}, (1, 8)),
    "reused": spaced({"cold": "cold", "reused": "reused"}, (1, 8)),
    "waits": spaced({"cold": "cold", "warm": "warm"}, (64, 256)),
    "big": {"1 MiB": "1 MiB, 4 clients", "10 MiB": "10 MiB, 4 clients"},
    "churn": {"sse": "HTTP+SSE, 32 clients", "mcp": "Streamable HTTP, 32 clients"},
}  # fmt: skip


def goals_section(groups: dict, cores: int) -> str:
    words = {True: "met", False: "**not met**", None: "not measured"}
    found = verdicts(groups)
    rows = [
        [v.what, v.goal, v.measured, words[v.met] + _busy(groups, v), f"`benches/run {v.group}`"] for v in found
    ]
    met, missed, unknown = ([v.met for v in found].count(verdict) for verdict in (True, False, None))
    said = f"{met} of {len(found)} are met, {missed} are not, {unknown} were not measured.\n\n"
    shown = table(["what", "goal", "measured", "", "repeat it with"], rows, numbers_from=5)
    if any(_busy(groups, v) for v in found):
        said += (
            "*Busy* are figures of a machine that did much else meanwhile: they are too low, and ratios of servers that "
            "work in one process and in many say little.\n\n"
        )
    return f"## Goals\n\n{said}{shown}" + _in_the_way(found, Reasons(groups, cores))


def _busy(groups: dict, verdict) -> str:
    others = groups.get(verdict.group, {}).get("machine", {}).get("others", 0)
    return ", busy" if verdict.met is not None and others > BUSY else ""


def _in_the_way(found: list, reasons: Reasons) -> str:
    lines = [f"- {v.what}: {reasons.of(v.what)}\n" for v in found if v.met is False and reasons.of(v.what)]
    return "What stands in the way of those that are not met, by the figures below:\n\n" + "".join(lines) + "\n" if lines else ""


def figures_section(groups: dict) -> str:
    parts = ["## Figures\n\n"]
    for name in GROUPS:
        group = groups.get(name)
        if not group:
            continue
        words = GROUPS[name].__doc__
        title = f"### {words[0].upper()}{words[1:]}\n\n"
        if "failed" in group:
            parts.append(f"{title}Not measured: {group['failed']}\n\n")
        elif name in LOOPS:
            parts.append(title + table(LOOP_HEAD, loop_rows(group["figures"], LOOPS[name])))
            parts.append(errors_told(group["figures"]))
        elif name in OTHERS:
            parts.append(title + OTHERS[name](group["figures"]))
    return "".join(parts)


def errors_told(figures: dict) -> str:
    told = sorted({error for found in figures.values() for error in found.get("errors_told", [])})
    return "".join(f"Error: `{error[:200]}`\n\n" for error in told[:3])


def sessions_table(figures: dict) -> str:
    rows = [
        [words, f"{step['sessions']:,}", number(step["kib_each"]), number(step["usage"]["server_kib"] / 1024)]
        for key, words in (("sse", "HTTP+SSE"), ("mcp", "Streamable HTTP"))
        for step in figures[key]["steps"]
    ]
    rows += [
        [f"{key}, all gone", "0", "", number(figures[key]["after"]["server_kib"] / 1024)] for key in ("sse", "mcp")
    ]
    return table(["", "sessions", "KiB each", "server, MiB"], rows)


def ready_table(figures: dict) -> str:
    counts = sorted({int(key.split()[1]) for key in figures})
    shown = [
        [f"{count:,}"]
        + [
            number(figures[f"{name} {count}"]["ms"]) if f"{name} {count}" in figures else ""
            for name in ("cold", "asked", "kept")
        ]
        for count in counts
    ]
    return table(["plugins", "asked cold, ms", "asked, ms", "descriptions kept, ms"], shown)


def size_table(figures: dict) -> str:
    rows = [["binary, stripped", f"{figures['binary']['bytes'] / 1e6:.1f} MB", "", ""]]
    rows += [
        [
            name,
            f"{found['server_kib'] / 1024:.1f} MiB",
            f"{found['children']:.0f}",
            f"{found['children_kib'] / 1024:.1f} MiB",
        ]
        for name, found in figures.items()
        if name != "binary"
    ]
    return table(["", "server", "processes below it", "their resident sizes"], rows)


def overhead_table(figures: dict) -> str:
    rows = [
        [
            name,
            *(
                number(found[key])
                for key in ("bare_p50_ms", "bare_p90_ms", "call_p50_ms", "call_p90_ms", "difference_p50_ms")
            ),
        ]
        for name, found in figures.items()
    ]
    return table(["", "bare p50 ms", "p90", "call p50 ms", "p90", "median of the differences"], rows)


def allocations_table(figures: dict) -> str:
    rows = [[name, f"{found['count']:,}", f"{found['bytes']:,}"] for name, found in figures.items()]
    return table(["", "allocations", "bytes"], rows)


OTHERS = {
    "sessions": sessions_table,
    "ready": ready_table,
    "size": size_table,
    "overhead": overhead_table,
    "allocations": allocations_table,
}


def curves_section(groups: dict, cores: int, folder: Path) -> str:
    parts = ["## How it grows\n\n"]
    for name, describe in CURVES.items():
        if figures := groups.get(name, {}).get("figures"):
            picture = PICTURES[name]
            parts.append(
                f"### {TITLES[name]}\n\n![{TITLES[name]}](benchmarks/{picture}.svg)\n\n"
                + f"{describe(figures, cores, folder)}\n\n"
            )
    return "".join(parts)


def conditions(results: dict) -> str:
    machine = results["machine"]
    when = sorted({group["date"] for group in results["groups"].values()})
    sources = sorted({group["commit"] for group in results["groups"].values()})
    others = [group["machine"]["others"] for group in results["groups"].values() if "machine" in group]
    said = [
        f"- Machine: {machine['processor']}, {machine['cores']} cores, {machine['memory']}, {machine['system']}",
        f"- Python: {machine['python']}; {machine['rust']}",
        f"- smcp: {', '.join(sources)}",
        f"- Date: {' to '.join([when[0], when[-1]] if len(when) > 1 else when)}",
    ]
    if others:
        said.append(
            f"- Other programs took {min(others):.0%} to {max(others):.0%} of the processor time while the groups were "
            "measured, as far as that was looked at"
        )
    return "\n".join(said) + "\n\n"


def read(docs: Path) -> dict:
    """The figures of earlier runs."""
    file = docs / "benchmarks" / "results.json"
    return json.loads(file.read_text()) if file.exists() else {"groups": {}}


def write(docs: Path, results: dict) -> None:
    """The figures, the curves and the page."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    groups, cores = results["groups"], int(results["machine"]["cores"])
    page = HEAD + conditions(results) + goals_section(groups, cores) + compare_section(groups) + figures_section(groups)
    (docs / "benchmarks.md").write_text(page + curves_section(groups, cores, folder) + METHOD)
