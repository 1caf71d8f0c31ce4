"""Servers under measurement: how each is started and ended. Knows nothing of what is asked of them."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import processes
from places import DEMO, PLUGINS, Failed

STOP_LIMIT = 10.0
READY_LIMIT = 60.0
# Everything in the load generator has limits of its own; this one is for what nobody thought of.
LOAD_LIMIT = 90.0


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

    def __init__(self, kind: Kind, plugins: Path, python: str, load: Path, home: Path, tools: int, until: float):
        self.kind = kind
        # When nothing is measured any more, on the monotonic clock.
        self.until = until
        port = free_port()
        self.url = f"http://127.0.0.1:{port}{kind.path}"
        self.load_program = load
        self.log = home / f"{kind.name.replace(' ', '-')}-{port}.log"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "SMCP_", "LETTA_"))}
        begun = time.monotonic()
        try:
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
        except OSError as error:
            raise Failed(f"it cannot be started: {error}") from error
        try:
            self.load("ready", tools=tools, limit=min(READY_LIMIT, max(1.0, until - begun)))
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
        """Asks it to end, and ends what is left of it after that."""
        started = processes.below(self.process.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # Some of them lead sessions of their own.
        processes.end(started)

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
        limit = min(LOAD_LIMIT + 2 * float(options.get("seconds", 3)), self.until - time.monotonic())
        if limit <= 0:
            raise Failed(f"{scenario}: no time was left for it")
        env = os.environ | {"RUST_BACKTRACE": "0"}
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as generator:
            stdout, stderr, why = self._watched(generator, limit)
        if generator.returncode:
            said = " ".join(stderr.split())[:500] or why
            raise Failed(f"{scenario}: {said}; the server: {self._last_words()[:300]}")
        return json.loads(stdout)

    def _last_words(self) -> str:
        """The last line of its log that names an error, else the last line."""
        lines = [line.strip(" |+-") for line in self.log.read_text(errors="replace").splitlines()]
        lines = [line for line in lines if line] or ["nothing"]
        return next((line for line in reversed(lines) if "Error" in line or "error:" in line), lines[-1])

    def _watched(self, generator: subprocess.Popen, limit: float) -> tuple[str, str, str]:
        """What the generator printed; it is ended when the server ends, or when it takes too long: then also why."""
        deadline, why = time.monotonic() + limit, ""
        while True:
            try:
                return *generator.communicate(timeout=1), why
            except subprocess.TimeoutExpired:
                if self.process.poll() is not None:
                    why = f"the server ended with status {self.process.returncode}"
                elif time.monotonic() > deadline:
                    why = f"it did not end within {limit:.0f} s"
                if why:
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


class Holders:
    """Counts meanwhile how many processes have this file open at once: `most`."""

    def __init__(self, file: Path):
        self.most = 0
        self._file = file
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._over.wait(0.2):
            self.most = max(self.most, len(holders(self._file)))

    def __enter__(self) -> "Holders":
        self._thread.start()
        return self

    def __exit__(self, *_exc) -> None:
        self._over.set()
        self._thread.join()


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
