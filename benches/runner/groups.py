"""What is measured of smcp alone: one function for each group, which returns its figures."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import binary
from bench import Bench, Enough, interleaved
from places import PLUGINS, Failed, example, python_packages
from servers import Holders, Server, left_after

SUM = ("demo_math__calculate", {"operation": "add", "a": 2, "b": 3})
ORDER = ("heavy__order", {"article": "lamp", "count": 3})
REUSED = ("reused__calculate", {"a": 2, "b": 3})
COLD = {"MCP_WARM": "off"}
ABANDONING = 20
ROUNDS = 3


def ping(bench: Bench) -> dict:
    """ping over both transports, tools/list"""
    with bench.usual(**COLD) as server:
        figures = {}
        for transport, path in [("sse", "/sse"), ("mcp", "/mcp")]:
            for clients in (1, 32):
                figures[f"{transport} {clients}"] = lambda t=transport, p=path, c=clients: server.load(
                    "requests", transport=t, path=p, clients=c, seconds=bench.window(1.2), warmup=0.2
                )
        figures["list 8"] = lambda: server.load(
            "requests", method="tools/list", clients=8, seconds=bench.window(1.2), warmup=0.2
        )
        return interleaved(ROUNDS, figures)


def _calls(bench: Bench, servers: dict[str, Server], clients: tuple, tool: str, arguments: dict, expect: str) -> dict:
    measurements = {
        f"{name} {count}": Enough(
            bench.window(1.2),
            lambda seconds, s=server, c=count: s.call(
                tool, arguments, expect=expect, clients=c, seconds=seconds, warmup=0.2
            ),
        )
        for count in clients
        for name, server in servers.items()
    }
    return interleaved(ROUNDS, measurements)


def calls(bench: Bench) -> dict:
    """calls of a plugin of the standard library: cold, warm"""
    with bench.usual(**COLD) as cold, bench.usual() as warm:
        bench.warmed_up(warm, *SUM, seconds=2)
        return _calls(bench, {"cold": cold, "warm": warm}, (1, 8, 32), *SUM, expect="5.0")


def heavy(bench: Bench) -> dict:
    """calls of a plugin that imports pydantic and requests: cold, warm"""
    python = str(python_packages("heavy", PLUGINS / "heavy" / "requirements.txt", bench.python) / "python")
    plugins = bench.plugins(heavy=PLUGINS / "heavy")
    with bench.smcp(plugins, 1, python, **COLD) as cold, bench.smcp(plugins, 1, python) as warm:
        bench.warmed_up(warm, *ORDER, seconds=4)
        return _calls(bench, {"cold": cold, "warm": warm}, (1, 8), *ORDER, expect="lamp")


def reused(bench: Bench) -> dict:
    """calls of a command that runs them one after the other in one process"""
    plugins = bench.plugins(reused=PLUGINS / "reused")
    with bench.smcp(plugins, 1, **COLD) as cold, bench.smcp(plugins, 1) as warm:
        bench.warmed_up(warm, *REUSED, seconds=2)
        return _calls(bench, {"cold": cold, "reused": warm}, (1, 8), *REUSED, expect="5.0")


def waits(bench: Bench) -> dict:
    """calls of a tool that sleeps one second"""
    figures = {}
    for name, settings in [("cold", COLD), ("warm", {})]:
        with bench.usual(**settings) as server:
            bench.warmed_up(server, "waits__nap", {"seconds": 0.01}, seconds=2)
            for clients in (64, 256):
                figures[f"{name} {clients}"] = server.call(
                    "waits__nap", {"seconds": 1}, clients=clients, seconds=bench.window(4), warmup=2.5
                )
    return figures


def big(bench: Bench) -> dict:
    """results of 1 and 10 MiB"""
    with bench.smcp(bench.plugins(big=PLUGINS / "big"), 1) as server:
        bench.warmed_up(server, "big__text", {"size": 1000}, seconds=1)
        return {
            f"{mebibytes} MiB": server.call(
                "big__text", {"size": mebibytes << 20}, clients=4, seconds=bench.window(2.5), warmup=0.5
            )
            for mebibytes in (1, 10)
        }


def sessions(bench: Bench) -> dict:
    """sessions that only stay: 10 to 10,000, and a client beside them"""
    figures = {}
    for transport, steps, beside in [("sse", "10,100,1000,3000,10000", 0.7), ("mcp", "10000", 0)]:
        with bench.usual(**COLD) as server:
            figures[transport] = server.load(
                "idle", transport=transport, path=f"/{transport}", sessions=steps, seconds=beside, warmup=0.2
            )
    return figures


def churn(bench: Bench) -> dict:
    """clients that connect, shake hands and leave; clients that leave in mid-call"""
    figures = {}
    with bench.usual(**COLD) as server:
        for transport in ("sse", "mcp"):
            options = {"transport": transport, "path": f"/{transport}", "clients": 32}
            first = server.load("churn", seconds=bench.window(2), **options)
            again = server.load("churn", seconds=bench.window(2), **options)
            figures[transport] = again | {
                "kib_before": first["usage"]["server_kib"],
                "kib_after": again["usage"]["server_kib"],
                "children_left": again["usage"]["children"] - first["usage"]["children"],
            }
    for name, settings in [("cold", COLD), ("warm", {})]:
        with bench.usual(**settings) as server:
            figures[f"abandoned {name}"] = abandoned(bench, server, warm_up=True)
    return figures


def abandoned(bench: Bench, server: Server, warm_up: bool) -> dict:
    """Programs that still run after their clients went in mid-call."""
    if warm_up:
        bench.warmed_up(server, "waits__nap", {"seconds": 0.01}, seconds=2)
    held = bench.fresh("held")
    held.touch()
    params = {"name": "waits__nap", "arguments": {"seconds": 60, "hold": str(held)}}
    with Holders(held) as ran:
        server.load("abandon", method="tools/call", params=params, clients=ABANDONING, seconds=4)
    left, seconds = left_after(held)
    return {"clients": ABANDONING, "ran": ran.most, "left": left, "seconds": seconds}


def ready(bench: Bench) -> dict:
    """from the start until a client sees all tools: 1 to 1,000 plugins, without and with kept descriptions"""
    figures = {}
    for count in (1, 2, 10, 50, 100, 500, 1000):
        plugins = bench.copies(count)
        cache = bench.fresh("cache")

        def start(**settings: str) -> dict:
            with bench.smcp(plugins, 3 * count, **settings) as server:
                return {"ms": server.ready_ms}

        few = count <= 50
        # The first start finds no descriptions, the next one those that it kept.
        measurements = {
            "asked": lambda: start(MCP_CACHE_DIR=str(emptied(cache))),
            "kept": lambda: start(MCP_CACHE_DIR=str(cache)),
        }
        if few:
            measurements["cold"] = lambda: start(**COLD)
        try:
            for name, found in interleaved(ROUNDS if few else 1, measurements).items():
                figures[f"{name} {count}"] = found
        except Failed as failure:
            # On a slow machine the larger ones would take longer still.
            print(f"  {count} plugins: {failure}", flush=True)
            break
    return figures


def emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def size(bench: Bench) -> dict:
    """the program's size, and its memory at the start"""
    figures = {"binary": {"bytes": bench.binary.stat().st_size, "sections": binary.sections(bench.binary)}}
    for name, settings in [("without warm interpreters", COLD), ("with warm interpreters", {})]:
        with bench.usual(**settings) as server:
            time.sleep(1)
            figures[name] = _usage(server)
            server.call(*SUM, clients=8, seconds=bench.window(2))
            time.sleep(1)
            figures[f"{name}, after calls"] = _usage(server)
    return figures


def _usage(server: Server) -> dict:
    usage = server.load("requests", clients=1, seconds=0.2, warmup=0)["usage"]
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    sizes = dict(line.split(":", 1) for line in status.splitlines())
    # Pages of files are shared by all who use them, and can be read again; the others are the server's own.
    kinds = {"file_kib": "RssFile", "anonymous_kib": "RssAnon"}
    return usage | {name: int(sizes[field].split()[0]) for name, field in kinds.items()}


def overhead(bench: Bench) -> dict:
    """a cold call, and the bare spawn of the same command line, in turn"""
    plugins = bench.plugins(demo_math=Path(PLUGINS.parents[1] / "plugins" / "demo_math"))
    line = [bench.python, str(plugins / "demo_math" / "cli.py"), "calculate"]
    line += ["--operation", "add", "--a", "2", "--b", "3"]
    params = {"name": SUM[0], "arguments": SUM[1]}
    with bench.smcp(plugins, 3, **COLD) as server:
        found = server.load("overhead", argv=line, method="tools/call", params=params, seconds=bench.window(6))
    return {"calculate": found}


def tools(bench: Bench) -> dict:
    """tools/list of 10 to 5,000 tools"""
    figures = {}
    for count in (10, 100, 500, 1000, 5000):
        plugins = many_tools(bench, count)
        with bench.smcp(plugins, count, **COLD) as server:
            listed = server.load("requests", method="tools/list", clients=1, seconds=bench.window(1.5), warmup=0.5)
            figures[str(count)] = listed | {"ready_ms": server.ready_ms}
    return figures


def many_tools(bench: Bench, count: int) -> Path:
    """Plugins with a hundred commands each, which only describe themselves."""
    each = min(count, 100)
    parameters = [
        {"name": "path", "type": "string", "description": "which file", "required": True},
        {"name": "limit", "type": "integer", "description": "how many lines at most", "default": 100},
    ]
    commands = [
        {"name": f"command_{n:03}", "description": "Reads a file and counts what is in it", "parameters": parameters}
        for n in range(each)
    ]
    described = json.dumps({"contract_version": "1.1", "commands": commands})
    folder = bench.fresh("tools")
    for n in range(count // each):
        plugin = folder / f"many_{n:02}"
        plugin.mkdir(parents=True)
        (plugin / "cli.py").write_text(f"print({described!r})\n")
    return folder


def parallel(bench: Bench) -> dict:
    """calls at once: 1 to 1,000 clients, cold and warm"""
    figures = {}
    with bench.usual(**COLD) as cold, bench.usual() as warm:
        bench.warmed_up(warm, *SUM, seconds=2)
        for clients in (1, 4, 16, 64, 256, 1000):
            for name, server in (("cold", cold), ("warm", warm)):
                # So many clients wait for more than a window until each has had its turn.
                warmup = 0.3 if clients <= 16 else 0.8
                figures[f"{name} {clients}"] = server.call(
                    *SUM, clients=clients, seconds=bench.window(1.2), warmup=warmup, limit=60
                )
    return figures


def allocations(_bench: Bench) -> dict:
    """allocations of one request, counted"""
    counted = subprocess.run([example("allocations")], stdout=subprocess.PIPE, text=True, check=True, timeout=60)
    return json.loads(counted.stdout)


GROUPS = {
    function.__name__: function
    for function in (
        *(ping, calls, heavy, reused, waits, big, sessions, churn, ready, size),
        *(overhead, tools, parallel, allocations),
    )
}
