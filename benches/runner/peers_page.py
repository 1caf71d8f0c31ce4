"""The page's part on smcp beside others."""

import statistics

from goals import PYTHON_SMCP, number, ratios, spread
from tables import table

INTRODUCTION = """## Beside others

The same two plugins, served by each, all with the same interpreter. Everybody runs; each is asked the same, one after
the other, in every round, and another one is first each time: what else the machine does meets all alike. The table
has the medians of {rounds} rounds. *In-process* is a tool that computes inside the server, without a process of its own.
*smcp reused* is a command that lets its calls run one after the other in one process. *Left running* are programs that
ran on after their clients had left in mid-call. `benches/run compare` repeats it{seconds}.

{load}"""
HEAD = ["", "ready with 2, ms", "50", "resident, MiB", "KiB per session", "pings/s 1", "32", "calls/s 1", "8", "32"]
HEAD += ["waiting 64", "churn/s", "left running"]
COMPARED = {"ping 32": "pings, 32", "calls 1": "calls, 1", "calls 8": "calls, 8", "calls 32": "calls, 32"}
COMPARED |= {"churn 16": "churn"}


def compare_section(groups: dict) -> str:
    group = groups.get("compare")
    if not group:
        return ""
    if "figures" not in group:
        return f"## Beside others\n\nNot measured: {group['failed']}\n\n"
    figures = group["figures"]
    against = [[name, *_ratios(figures, name)] for name in figures if name not in ("smcp", "smcp reused")]
    reused = [[name, *_ratios(figures, name, "smcp reused")] for name in figures if name != "smcp reused"]
    return (
        _introduction(group)
        + table(HEAD, [*(_row(name, found) for name, found in figures.items()), _python_smcp()])
        + "How many times as many smcp does in a second, in the median of the rounds, and from the least to the most:\n\n"
        + table(["than", *COMPARED.values()], against)
        + "And a command of smcp whose calls share one process, beside all others:\n\n"
        + table(["than", *(words for what, words in COMPARED.items() if "calls" in what)], _calls_alone(reused))
        + "The figures of SMCP 3.1.0 are from another run on two cores, beside an early smcp; it cannot be installed "
        + "from a registry.\n\n"
        + "".join(f"- {name}: {found['version']}\n" for name, found in figures.items() if found["version"])
        + _failures(figures)
        + "\n"
    )


def _introduction(group: dict) -> str:
    rounds = max((len(found["rounds"].get("calls 8", {})) for found in group["figures"].values()), default=0)
    seconds = f": it took {group['seconds'] / 60:.0f} minutes" if "seconds" in group else ""
    load = ""
    if machine := group.get("machine"):
        load = (
            f"Load average {machine['load_before']} before and {machine['load_after']} after it; other programs took "
            f"{machine['others']:.0%} of the processor time meanwhile.\n\n"
        )
    return INTRODUCTION.format(rounds=rounds, seconds=seconds, load=load)


def _row(name: str, found: dict) -> list[str]:
    def cell(*path: str, scale: float = 1) -> str:
        value = found
        for step in path:
            if step not in value:
                return ""
            value = value[step]
        return number(value * scale)

    left = found.get("abandoned")
    cells = [cell(f"ready {count}", "ms") for count in (2, 50)]
    cells += [cell("resident", "server_kib", scale=1 / 1024), cell("resident", "kib_each")]
    cells += [cell(f"ping {count}", "per_second") for count in (1, 32)]
    cells += [cell(f"calls {count}", "per_second") for count in (1, 8, 32)]
    cells += [cell("waits 64", "per_second"), cell("churn 16", "per_second")]
    cells.append(f"{left['left']} of {left['ran']}" if left else "")
    if not any(cells):
        cells[0] = "failed, see below"
    return [name, *cells]


def _python_smcp() -> list[str]:
    then = PYTHON_SMCP
    cells = ["", number(then["ready 50"]), "", number(then["session KiB"]), "", number(then["ping 32"]), ""]
    return ["SMCP 3.1.0 (measured elsewhere)", *cells, number(then["calls 8"]), "", number(then["waits 64"]), "", ""]


def _ratios(figures: dict, name: str, ours: str = "smcp") -> list[str]:
    cells = []
    for measure in COMPARED:
        found = ratios(figures[ours], figures[name], measure)
        cells.append(f"{statistics.median(found):.1f} ({spread(found)})" if found else "")
    return cells


def _calls_alone(rows: list[list[str]]) -> list[list[str]]:
    """Without the columns that such a command has nothing to do with."""
    wanted = [0, *(at for at, what in enumerate(COMPARED, 1) if "calls" in what)]
    return [[row[at] for at in wanted] for row in rows]


def _failures(figures: dict) -> str:
    lines = [f"- {name}: `{_plain(failure)}`\n" for name, found in figures.items() for failure in found["failures"]]
    for name, found in figures.items():
        for what, measured in found.items():
            if isinstance(measured, dict) and measured.get("errors_told"):
                told = _plain(measured["errors_told"][0])
                lines.append(f"- {name}, {what}: {measured['errors']:.0f} errors, such as `{told}`\n")
    return f"\nWhat failed:\n\n{''.join(lines)}" if lines else ""


def _plain(words: str) -> str:
    return " ".join(words.replace("`", "'").split())[:300]
