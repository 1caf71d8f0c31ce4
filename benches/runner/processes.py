"""The processes below this one: nothing that a run has started is left when it ends. Knows no servers."""

import ctypes
import os
import signal
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
END_LIMIT = 5.0


def adopt_orphans() -> None:
    """Processes whose parents end become children of this one, also those that lead sessions of their own."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _stat(process: int) -> tuple[int, int] | None:
    """Parent, and when it began: a number alone may be given again."""
    try:
        # The name before the last parenthesis may hold anything (proc_pid_stat(5)).
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), int(fields[19])


def below(root: int) -> dict[int, int]:
    """All processes below this one, and when each began."""
    known = {int(entry.name): _stat(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    children: dict[int, list[int]] = {}
    for process, stat in known.items():
        if stat:
            children.setdefault(stat[0], []).append(process)
    found, open_ends = {}, [root]
    while open_ends:
        for child in children.get(open_ends.pop(), []):
            if child not in found:
                found[child] = known[child][1]
                open_ends.append(child)
    return found


def end(processes: dict[int, int]) -> None:
    """Ends those of them that are still there."""
    for process, began in processes.items():
        if (stat := _stat(process)) and stat[1] == began:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass


def end_all_below() -> None:
    """Ends everything below this process, and what comes to it meanwhile."""
    deadline = time.monotonic() + END_LIMIT
    while (left := below(os.getpid())) and time.monotonic() < deadline:
        end(left)
        reap()
        time.sleep(0.02)


def reap() -> None:
    """Takes the statuses of all children that have ended: only for when nobody else waits for one."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


class Meter:
    """What the machine did meanwhile, as far as it was not this run."""

    def __init__(self):
        self._load = os.getloadavg()[0]
        self._busy, self._all = _machine_ticks()
        self._own = _own_seconds()

    def read(self) -> dict[str, float]:
        """Load averages at the start and now, and the share of all processor time that others took."""
        busy, total = _machine_ticks()
        ticks = os.sysconf("SC_CLK_TCK")
        others = (busy - self._busy) / ticks - (_own_seconds() - self._own)
        share = others / max((total - self._all) / ticks, 0.01)
        return {
            "load_before": round(self._load, 1),
            "load_after": round(os.getloadavg()[0], 1),
            "others": round(min(max(share, 0.0), 1.0), 3),
        }


def _machine_ticks() -> tuple[int, int]:
    """Ticks of all processors: with something to do, and in all."""
    # user nice system idle iowait irq softirq steal; what guests take is in the first two (proc_stat(5)).
    values = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(values) - values[3] - values[4], sum(values)


def _own_seconds() -> float:
    times = os.times()
    return sum(times[:4])
