"""Where things are, how they are built and installed, and what machine this is. Measures nothing."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCHES = ROOT / "benches"
PLUGINS = BENCHES / "plugins"
DEMO = ROOT / "plugins" / "demo_math"
PEERS = BENCHES / "peers"
CACHE = ROOT / "target" / "bench"
RELEASE = ROOT / "target" / "release"
DOCS = ROOT / "docs"
INSTALL_LIMIT = 240.0
ANSWER_LIMIT = 30.0


class Failed(Exception):
    """A measurement that did not come about; the page says why."""


def bounded(command: list, limit: float, **options) -> None:
    """Runs what takes its time, but no more than that.

    Raises `Failed` with what it said last.
    """
    shown = " ".join(str(word) for word in command[:4])
    try:
        subprocess.run(
            command, check=True, timeout=limit, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{shown}: not done within {limit:.0f} s") from error
    except subprocess.CalledProcessError as error:
        last = (error.stdout.strip().splitlines() or ["nothing"])[-1]
        raise Failed(f"{shown}: status {error.returncode}: {last[:300]}") from error


def build() -> None:
    """Two builds: with the features of the development dependencies, smcp would not be the one that users have."""
    cargo = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run(
        [*cargo, "--example", "load", "--example", "rmcp_server", "--example", "allocations"], cwd=ROOT, check=True
    )
    subprocess.run(cargo, cwd=ROOT, check=True)


def example(name: str) -> Path:
    return RELEASE / "examples" / name


def interpreter(given: str | None) -> str:
    """A Python by its own path: a shim in its place would cost more than the call that is measured."""
    for candidate in [given] if given else ["/usr/bin/python3", shutil.which("python3")]:
        if candidate and (found := shutil.which(candidate)):
            shown = subprocess.run(
                [found, "-c", "import sys; print(sys.executable)"],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                timeout=ANSWER_LIMIT,
            )
            return shown.stdout.strip()
    raise SystemExit(f"no Python interpreter '{given or 'python3'}'; name one with --python")


def _installed(name: str, files: list[Path], install, *inputs: str) -> Path:
    """A folder with exactly what lock files name; made once, under a name that changes with them."""
    # What is installed names its own place, so that a copy of it elsewhere would not work there.
    inputs += (str(CACHE),)
    digest = hashlib.sha256(b"\0".join([*(file.read_bytes() for file in files), *(text.encode() for text in inputs)]))
    folder = CACHE / f"{name}-{digest.hexdigest()[:12]}"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"installing {folder.relative_to(ROOT)}", flush=True)
        install(folder)
        (folder / ".complete").touch()
    return folder


def python_packages(name: str, lock: Path, python: str) -> Path:
    """The folder of a virtual environment's programs, made by this interpreter."""

    def install(folder: Path) -> None:
        bounded([python, "-m", "venv", folder], INSTALL_LIMIT)
        # The lock file is the whole closure: pip resolves nothing and cannot pick anything else.
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps", "-r", lock]
        bounded(pip, INSTALL_LIMIT)

    return _installed(name, [lock], install, python) / "bin"


def node_packages(name: str, home: Path) -> Path:
    """The folder of the programs of pinned npm packages."""
    files = [home / "package.json", home / "package-lock.json"]

    def install(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        bounded(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], INSTALL_LIMIT, cwd=folder)

    return _installed(name, files, install) / "node_modules" / ".bin"


def locked_version(peer: str, package: str) -> str:
    """The version that a lock file pins."""
    if (lock := PEERS / peer / "requirements.txt").exists():
        pins = dict(line.split("==") for line in lock.read_text().split())
        return pins[package]
    return json.loads((PEERS / peer / "package.json").read_text())["dependencies"][package]


def rust_version(package: str) -> str:
    lock = (ROOT / "Cargo.lock").read_text()
    return lock.split(f'name = "{package}"\nversion = "')[1].split('"')[0]


def _first_line(*command: str) -> str:
    shown = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=ANSWER_LIMIT
    )
    return (shown.stdout.splitlines() or ["unknown"])[0]


def commit() -> str:
    """The source that was measured; with a `+` where it had changes that are in no commit, those of the page aside."""
    head = _first_line("git", "rev-parse", "--short=10", "HEAD")
    changed = subprocess.run(
        ["git", "status", "--porcelain", "--", ".", ":!docs/benchmarks*"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return head + ("+" if changed.stdout.strip() else "")


def machine(python: str) -> dict[str, str]:
    """What the figures depend on. Names no host."""
    try:
        cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": cpu,
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": _first_line(python, "--version"),
        "rust": " ".join(_first_line("rustc", "--version").split()[:2]),
    }
