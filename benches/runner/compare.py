"""smcp beside what a user could take instead: the same plugins, the same interpreter, in turn."""

from bench import Bench, medians
from groups import COLD, SUM, abandoned
from servers import Failed, Kind, copies, peers, smcp, usual_plugins

ROUNDS = 3
IDLE_SESSIONS = 300


def compare(bench: Bench) -> dict:
    """every server started once in each round, measured, and ended"""
    warm = smcp(bench.binary, MCP_PYTHON=bench.python, MCP_CACHE="off")
    cold = smcp(bench.binary, MCP_PYTHON=bench.python, MCP_CACHE="off", **COLD)
    cold.name = "smcp cold"
    kinds = [warm, cold, *peers(bench.python)]
    figures: dict[str, dict] = {kind.name: {"version": kind.version, "failures": []} for kind in kinds}
    found: dict[str, list] = {kind.name: [] for kind in kinds}
    for number in range(ROUNDS):
        for kind in kinds:
            print(f"  round {number + 1}: {kind.name}", flush=True)
            try:
                found[kind.name].append(_one(bench, kind))
            except Failed as failure:
                figures[kind.name]["failures"].append(str(failure))
    for kind in kinds:
        if rounds := found[kind.name]:
            figures[kind.name] |= medians(rounds)
        try:
            figures[kind.name] |= _once(bench, kind)
        except Failed as failure:
            figures[kind.name]["failures"].append(str(failure))
    return figures


def _in_process(kind: Kind) -> bool:
    return kind.name == "FastMCP in-process"


def _one(bench: Bench, kind: Kind) -> dict:
    plugins = usual_plugins(bench.fresh("usual"))
    with bench.start(kind, plugins, 1 if _in_process(kind) else 4) as server:
        figures = {"ready 2": {"ms": server.ready_ms}}
        figures["idle"] = server.load("idle", sessions=str(IDLE_SESSIONS), clients=1, seconds=0)["steps"][0] | {
            "errors": 0
        }
        for clients in (1, 32):
            figures[f"ping {clients}"] = server.load("requests", clients=clients, seconds=bench.window(1.2), warmup=0.3)
        # What learns from calls learns from these.
        bench.warmed_up(server, *SUM, seconds=1.5)
        for clients in (1, 8, 32):
            figures[f"calls {clients}"] = server.call(*SUM, clients=clients, seconds=bench.window(1.5), warmup=0.3)
        figures["churn 16"] = server.load("churn", clients=16, seconds=bench.window(1.2), warmup=0.2)
        return figures


def _once(bench: Bench, kind: Kind) -> dict:
    """What one look is enough for."""
    if _in_process(kind):
        return {}
    with bench.start(kind, copies(bench.fresh("copies"), 50), 150) as server:
        figures = {"ready 50": {"ms": server.ready_ms}}
    with bench.start(kind, usual_plugins(bench.fresh("usual")), 4) as server:
        bench.warmed_up(server, "waits__nap", {"seconds": 0.01}, seconds=1.5)
        figures["waits 64"] = server.call("waits__nap", {"seconds": 1}, clients=64, seconds=bench.window(5), warmup=2)
    with bench.start(kind, usual_plugins(bench.fresh("usual")), 4) as server:
        figures["resident"] = server.load("requests", clients=1, seconds=0.2, warmup=0)["usage"]
        figures["abandoned"] = abandoned(bench, server, warm_up=False)
    return figures
