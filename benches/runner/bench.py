"""One run: its servers, its scratch folder, its rounds. Knows how to repeat, not what is measured."""

import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import processes
from places import RELEASE, example
from servers import Kind, Server, copies, plugins_folder, smcp, usual_plugins


def medians(figures: list[dict]) -> dict:
    """The median of each number; errors are added up, what is no number is the first one's."""
    result = {}
    for name, first in figures[0].items():
        values = [one[name] for one in figures]
        if name == "errors":
            result[name] = sum(values)
        elif isinstance(first, dict):
            result[name] = medians(values)
        elif isinstance(first, (int, float)) and not isinstance(first, bool):
            result[name] = statistics.median(values)
        else:
            result[name] = first
    return result


# Answers that a window must hold: with less, a rate says little.
LEAST_ANSWERS = 20
LONGEST_WINDOW = 25.0


class Enough:
    """A measurement whose window becomes so long that enough is answered in it, and stays so for later rounds."""

    def __init__(self, seconds: float, measure: Callable[[float], dict], longest: float = LONGEST_WINDOW):
        self._seconds = seconds
        self._measure = measure
        self._longest = longest

    def __call__(self) -> dict:
        while True:
            found = self._measure(self._seconds)
            answered = found["requests"]
            if answered >= LEAST_ANSWERS or self._seconds >= self._longest:
                return found
            # A little more than by the rate so far, which may be that of no answer at all.
            longer = min(10.0, 1.3 * LEAST_ANSWERS / max(answered, 1))
            self._seconds = min(self._longest, self._seconds * longer)


class Bench:
    """What the groups of measurements share."""

    def __init__(self, binary: Path | None, python: str, pace: float):
        self.binary = binary or RELEASE / "smcp"
        self.python = python
        # What windows are multiplied with: below 1 for a look at whether everything works.
        self.pace = pace
        # When a group of measurements must be over, on the monotonic clock.
        self.until = math.inf
        self._scratch = tempfile.TemporaryDirectory(prefix="smcp-bench-")
        self.home = Path(self._scratch.name)
        self._count = 0

    def close(self) -> None:
        processes.end_all_below()
        self._scratch.cleanup()

    def fresh(self, name: str) -> Path:
        """The path of a folder that does not exist yet."""
        self._count += 1
        return self.home / f"{name}-{self._count}"

    def window(self, seconds: float) -> float:
        return round(max(0.4, seconds * self.pace), 2)

    def start(self, kind: Kind, plugins: Path, tools: int, python: str = "") -> Server:
        return Server(kind, plugins, python or self.python, example("load"), self.home, tools, self.until)

    def smcp(self, plugins: Path, tools: int, python: str = "", **settings: str) -> Server:
        """Without the description cache, unless a setting names a place for it."""
        cache = {} if "MCP_CACHE_DIR" in settings else {"MCP_CACHE": "off"}
        kind = smcp(self.binary, MCP_PYTHON=python or self.python, **cache, **settings)
        return self.start(kind, plugins, tools)

    def usual(self, **settings: str) -> Server:
        return self.smcp(usual_plugins(self.fresh("usual")), 4, **settings)

    def copies(self, count: int) -> Path:
        return copies(self.fresh("copies"), count)

    def plugins(self, **plugins: Path) -> Path:
        return plugins_folder(self.fresh("plugins"), plugins)

    def warmed_up(self, server: Server, tool: str, arguments: dict, seconds: float) -> None:
        """Warm interpreters learn from the first calls; these are not measured."""
        server.call(tool, arguments, clients=8, seconds=seconds, warmup=0)


def interleaved(rounds: int, measurements: dict) -> dict:
    """Each measurement once in every round, so that whatever else the machine does meets all alike; medians."""
    found = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            found[name].append(measure())
    return {name: medians(figures) for name, figures in found.items()}
