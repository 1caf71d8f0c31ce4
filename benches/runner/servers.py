"""Servers under measurement: how each is started and ended. Knows nothing of what is asked of them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from places import DEMO, PEERS, PLUGINS, example, locked_version, node_packages, python_packages, rust_version

STOP_LIMIT = 15.0
READY_LIMIT = 60.0


class Failed(Exception):
    """A measurement that did not come about; the page says why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plugins_folder(folder: Path, plugins: dict[str, Path]) -> Path:
    """A folder of plugins under these names, each a copy, so that none shares anything with another."""
    for name, source in plugins.items():
        shutil.copytree(source, folder / name)
    return folder


def copies(folder: Path, count: int) -> Path:
    """So many plugins that are alike: `demo_math`, `demo_math_001`, …"""
    names = ["demo_math", *(f"demo_math_{n:03}" for n in range(1, count))]
    return plugins_folder(folder, {name: DEMO for name in names})


def usual_plugins(folder: Path) -> Path:
    return plugins_folder(folder, {"demo_math": DEMO, "waits": PLUGINS / "waits"})


@dataclass
class Kind:
    """One way to serve a folder of plugins."""

    name: str
    transport: str
    path: str
    version: str
    # Of PLUGINS PYTHON PORT.
    command: object
    settings: dict[str, str] = field(default_factory=dict)
    # The interpreter, where it is a server in Python.
    python: str = ""


class Server:
    """A running server; ended when the block is left."""

    def __init__(self, kind: Kind, plugins: Path, python: str, load: Path, home: Path, tools: int):
        self.kind = kind
        port = free_port()
        self.url = f"http://127.0.0.1:{port}{kind.path}"
        self.load_program = load
        self.log = home / f"{kind.name.replace(' ', '-')}-{port}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "SMCP_", "LETTA_"))}
        begun = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(word) for word in kind.command(plugins, python, port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=kept | {"HOME": str(home)} | kind.settings,
                start_new_session=True,
            )
        try:
            self.load("ready", tools=tools, limit=READY_LIMIT)
        except BaseException:
            self.end()
            raise
        # From before the start of the process until a client saw all tools, and the generator's own start and end.
        self.ready_ms = (time.monotonic() - begun) * 1e3

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_exc) -> None:
        self.end()

    def end(self) -> None:
        """Asks it to end. Its own session holds whatever is left of it after that."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def load(
        self, scenario: str, argv: list[str] | None = None, transport: str = "", path: str = "", **options
    ) -> dict:
        """What the load generator finds. Options are its flags."""
        url = self.url.replace(self.kind.path, path) if path else self.url
        line = [str(self.load_program), scenario, "--url", url, "--pid", str(self.process.pid)]
        line += ["--transport", transport or self.kind.transport]
        for name, value in options.items():
            line += ["--" + name, json.dumps(value) if isinstance(value, dict) else str(value)]
        line += ["--", *argv] if argv else []
        # Everything in it has limits of its own; this one is for what nobody thought of.
        limit = 90 + 2 * float(options.get("seconds", 3))
        env = os.environ | {"RUST_BACKTRACE": "0"}
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as generator:
            stdout, stderr = self._watched(generator, limit)
        if generator.returncode:
            last = (self.log.read_text(errors="replace").strip().splitlines() or [""])[-1]
            raise Failed(f"{scenario}: {' '.join(stderr.split())[:500]}; the server: {last[:300]}")
        return json.loads(stdout)

    def _watched(self, generator: subprocess.Popen, limit: float) -> tuple[str, str]:
        """What the generator printed; it is ended when the server ends, or when it takes too long."""
        deadline = time.monotonic() + limit
        while True:
            try:
                return generator.communicate(timeout=1)
            except subprocess.TimeoutExpired:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    generator.kill()

    def call(self, tool: str, arguments: dict, **options) -> dict:
        """A closed loop of calls of one tool."""
        params = {"name": tool, "arguments": arguments}
        return self.load("requests", method="tools/call", params=params, **options)


def holders(file: Path) -> list[int]:
    """The processes that have this file open: programs that still run, whatever their command lines are."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(link) == str(file) for link in entry.iterdir()):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def left_after(file: Path, limit: float = 12.0) -> tuple[int, float]:
    """How many processes still have the file open after this time, and when the last one was gone."""
    begun = time.monotonic()
    while (left := len(holders(file))) and time.monotonic() - begun < limit:
        time.sleep(0.05)
    return left, time.monotonic() - begun


def smcp(binary: Path, **settings: str) -> Kind:
    """smcp with settings that let ten thousand sessions in."""
    return Kind(
        "smcp",
        "sse",
        "/sse",
        "",
        lambda plugins, python, port: [binary, "--port", port, "--plugins-dir", plugins],
        {"MCP_DISABLE_FILE_LOG": "1", "MCP_MAX_SESSIONS": "20000", "MCP_MAX_CONNECTIONS": "20000"} | settings,
    )


def peers(python: str) -> list[Kind]:
    """What a user could take instead, at pinned versions, all with the same interpreter."""
    fastmcp = python_packages("fastmcp", PEERS / "fastmcp" / "requirements.txt", python) / "python"
    proxy = python_packages("mcp-proxy", PEERS / "mcp-proxy" / "requirements.txt", python) / "mcp-proxy"
    gateway = node_packages("supergateway", PEERS / "supergateway") / "supergateway"
    server = PEERS / "fastmcp" / "server.py"
    versions = {
        "fastmcp": f"FastMCP {locked_version('fastmcp', 'fastmcp')}",
        "mcp-proxy": f"mcp-proxy {locked_version('mcp-proxy', 'mcp-proxy')}",
        "supergateway": f"supergateway {locked_version('supergateway', 'supergateway')}",
        "rmcp": f"rmcp {rust_version('rmcp')}",
    }
    return [
        Kind(
            "FastMCP",
            "sse",
            "/sse",
            versions["fastmcp"],
            lambda plugins, python, port: [fastmcp, server, plugins, python, "sse", port],
        ),
        Kind(
            "FastMCP in-process",
            "sse",
            "/sse",
            versions["fastmcp"],
            lambda plugins, python, port: [fastmcp, server, plugins, python, "in-process", port],
        ),
        Kind(
            "mcp-proxy",
            "sse",
            "/sse",
            f"{versions['mcp-proxy']} before a {versions['fastmcp']} stdio server",
            lambda plugins, python, port: (
                [proxy, "--port", port, "--log-level", "ERROR", "--pass-environment", "--"]
                + [fastmcp, server, plugins, python, "stdio"]
            ),
        ),
        Kind(
            "supergateway",
            "sse",
            "/sse",
            f"{versions['supergateway']} before a {versions['fastmcp']} stdio server",
            lambda plugins, python, port: (
                [gateway, "--port", port, "--logLevel", "none", "--stdio"]
                + [" ".join(f"'{word}'" for word in (fastmcp, server, plugins, python, "stdio"))]
            ),
        ),
        Kind(
            "rmcp",
            "mcp",
            "/mcp",
            f"{versions['rmcp']}, Streamable HTTP",
            lambda plugins, python, port: [example("rmcp_server"), plugins, python, port],
        ),
    ]
