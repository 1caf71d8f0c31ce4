"""Owns a running smcp and the folder of plugins it serves; knows nothing of the clients that talk to it."""

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BUNDLED = ROOT / "plugins"
FIXTURES = ROOT / "tests" / "fixtures" / "plugins"
EXAMPLES = ROOT / "docs" / "examples"
SERVED = [BUNDLED / "demo_math", BUNDLED / "demo_text", FIXTURES / "interop", FIXTURES / "slow"]
# Served on their own, so that the others start no slower: on stdio a server is started for each check.
OFFERED = [FIXTURES / "offers", *(EXAMPLES / name for name in ("archive", "expenses", "pictures", "prompts", "wiki"))]

START_LIMIT = 20.0
STOP_LIMIT = 20.0
ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


def plugins_dir(parent: Path) -> Path:
    """A folder with links to the bundled plugins and to those that the checks of tools need."""
    return linked(parent / "plugins", SERVED)


def offers_dir(parent: Path) -> Path:
    """A folder with links to the examples and to the plugin that offers more than tools."""
    return linked(parent / "offers", OFFERED)


def linked(folder: Path, plugins: list[Path]) -> Path:
    folder.mkdir(parents=True)
    for plugin in plugins:
        if not any((plugin / name).is_file() for name in ("cli.py", "cli")):
            raise SystemExit(f"no plugin at {plugin}; run from a complete checkout")
        (folder / plugin.name).symlink_to(plugin)
    return folder


def environment(home: Path, **settings: str) -> dict[str, str]:
    """The caller's environment without any setting that smcp would read, and with a home that holds none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "SMCP_", "LETTA_"))}
    return kept | {"HOME": str(home), "MCP_DISABLE_FILE_LOG": "1"} | settings


class Server:
    """One smcp on a port of its own choosing; ended when the block is left."""

    def __init__(self, binary: Path, plugins: Path, home: Path, key: str | None = None, **more: str):
        self.log = Path(tempfile.mkstemp(prefix="smcp-", suffix=".log", dir=home)[1])
        settings, flags = ({"MCP_API_KEY": key}, ["--require-auth"]) if key else ({}, [])
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(binary), "--port", "0", "--plugins-dir", str(plugins), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=environment(home, **settings, **more),
            )
        try:
            self.url = self._address()
            self._ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_exc) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """Asks it to end and returns its exit code; a server that does not end in time is killed and is an error."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"still running {STOP_LIMIT:.0f} s after SIGTERM") from None

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _address(self) -> str:
        return self._until("its address", lambda: (found := ADDRESS.search(self.printed())) and found.group(0))

    def _ready(self) -> None:
        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                    return answer.status == 200
            except (urllib.error.URLError, OSError):
                return False

        self._until("200 on /readyz", answers)

    def _until(self, what: str, look):
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline:
            if found := look():
                return found
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode} before {what}:\n{self.printed()[-2000:]}")
            time.sleep(0.02)
        raise RuntimeError(f"no {what} within {START_LIMIT:.0f} s:\n{self.printed()[-2000:]}")
