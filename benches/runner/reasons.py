"""What stands in the way of a goal that is not met: one sentence each, of the same figures."""

from goals import Figures, number

# The bare spawn of a call's command line on the machine on which the goals were set, in ms.
SPAWN_THEN = 23.2


class NotTold(Exception):
    """The processes that ended while it was measured took along more than was used then."""


class Reasons:
    """Sentences by the goal that they belong to."""

    def __init__(self, groups: dict, cores: int):
        self._f = Figures(groups)
        self._cores = cores
        self._by_goal = {
            "a cold call, above the bare spawn of its command line": self._cold_call,
            "warm calls of a stdlib plugin": lambda: self._processors("calls/warm 8", "calls/cold 8"),
            "warm calls with heavy imports": lambda: self._processors("heavy/warm 8", "heavy/cold 8"),
            "reused process": lambda: self._processors("reused/reused 8", "reused/cold 8"),
            "reused process, against an in-process tool": lambda: self._processors("compare/smcp reused/calls 8"),
            "calls/s at 8, against SMCP 3.1.0": self._against_python,
            "calls/s at 8, against FastMCP": lambda: self._against("FastMCP"),
            "calls/s at 8, against rmcp": lambda: self._against("rmcp"),
            "tools that wait 1 s, 64 and 256 sessions, warm": lambda: self._waits("warm", (55, 200)),
            "the same, cold": lambda: self._waits("cold", (45, 75)),
            "the same, against SMCP 3.1.0": lambda: self._waits("warm", (1.3 * 39.9, 150)),
            "ping over SSE": self._pings,
            "ping at 32, against SMCP 3.1.0": lambda: self._processors("ping/sse 32"),
            "ready with 50 plugins, asked": self._ready,
            "sessions that come and go": lambda: self._processors("churn/sse"),
            "binary, stripped": self._binary,
            "resident at the start, without warm interpreters": self._resident,
            "cold calls from 4 to 1,000 sessions": lambda: self._flat("cold"),
            "warm calls from 4 to 1,000 sessions": lambda: self._flat("warm"),
        }

    def of(self, goal: str) -> str:
        """The sentence for this goal; empty where the figures give none."""
        try:
            return self._by_goal[goal]()
        except NotTold:
            return "What it took of the processors could not be told."
        except (KeyError, ZeroDivisionError):
            return ""

    def _cost(self, path: str) -> float:
        """Processor time of one answer, in ms: of the server, of its processes and of the generator."""
        if self._f[f"{path}/children_cpu_ms"] < 0:
            raise NotTold
        return sum(self._f[f"{path}/{part}_cpu_ms"] for part in ("server", "children", "generator"))

    def _bound(self, path: str) -> float:
        return self._cores * 1e3 / self._cost(path)

    def _processors(self, path: str, cold: str = "") -> str:
        beside = f", and a cold one {number(self._cost(cold))} ms" if cold else ""
        return (
            f"One takes {number(self._cost(path))} ms of processor time, {number(self._f[f'{path}/children_cpu_ms'])} ms "
            f"of it in processes of the plugin{beside}: {self._cores} processors give {number(self._bound(path))}/s at "
            "the most."
        )

    def _slower_machine(self) -> str:
        now = self._f["overhead/calculate/bare_p50_ms"]
        return f"The bare spawn of the command line takes {number(now)} ms here, and took {SPAWN_THEN} ms there."

    def _cold_call(self) -> str:
        return f"The server itself computes {number(self._f['calls/cold 1/server_cpu_ms'])} ms for a cold call."

    def _against(self, peer: str) -> str:
        ours, theirs = self._cost("compare/smcp/calls 8"), self._cost(f"compare/{peer}/calls 8")
        return (
            f"A call takes {number(ours)} ms of processor time here and {number(theirs)} ms there: the fork, the "
            "plugin's own code and the end of its process are left when its start is saved."
        )

    def _against_python(self) -> str:
        return f"{self._processors('calls/warm 8')} {self._slower_machine()}"

    def _waits(self, name: str, wanted: tuple) -> str:
        said = []
        for clients, least in zip((64, 256), wanted):
            path = f"waits/{name} {clients}"
            rate = self._f[f"{path}/per_second"]
            if rate >= least:
                continue
            try:
                cost = self._cost(path)
            except NotTold:
                said.append(
                    f"With {clients} sessions a call takes {number(self._f[f'{path}/p50_ms'])} ms in place of 1,000; what "
                    "of the processors it took could not be told."
                )
                continue
            bound = self._bound(path)
            said.append(
                f"With {clients} sessions a call takes {number(self._f[f'{path}/p50_ms'])} ms in place of 1,000, and "
                f"{number(cost)} ms of processor time to start and to end, of which {self._cores} processors "
                f"give {number(bound)}/s at the most"
                + (": that is all there is." if rate >= 0.8 * bound else ": calls wait for their turn to start.")
            )
        return " ".join(said)

    def _pings(self) -> str:
        one = "ping/sse 1"
        server, generator = self._f[f"{one}/server_cpu_ms"], self._f[f"{one}/generator_cpu_ms"]
        return (
            f"One client's ping is a chain of {server:.3f} ms in the server and {generator:.3f} ms in the client, one "
            f"after the other; at 32 clients the processors give {number(self._bound('ping/sse 32'))}/s at the most, "
            "the client's part included."
        )

    def _ready(self) -> str:
        asked, cold = self._f["ready/asked 50/ms"] / 50, self._f["ready/cold 50/ms"] / 50
        forked = f", in forks of one interpreter, and {number(cold)} ms where each starts its own" if asked < 0.7 * cold else ""
        return (
            "A plugin that is asked for the first time is a Python that starts: "
            f"{number(asked)} ms each on {self._cores} processors{forked}, and "
            f"{number(self._f['ready/kept 50/ms'])} ms for all when the descriptions were kept."
        )

    def _binary(self) -> str:
        sections = self._f["size/binary"]["sections"]
        largest = sorted(sections.items(), key=lambda item: -item[1])[:3]
        return "Most of it is " + ", ".join(f"`{name}` ({size / 1e6:.1f} MB)" for name, size in largest) + "."

    def _resident(self) -> str:
        found = self._f["size/without warm interpreters"]
        return (
            f"{number(found['file_kib'] / 1024)} MiB of it are pages of the program's own file, which the system shares "
            f"and takes back when it needs memory; {number(found['anonymous_kib'] / 1024)} MiB are its own."
        )

    def _flat(self, name: str) -> str:
        costs = {clients: self._cost(f"parallel/{name} {clients}") for clients in (4, 1000)}
        bounds = {clients: self._bound(f"parallel/{name} {clients}") for clients in (4, 1000)}
        return (
            f"A call takes {number(costs[4])} ms of processor time with 4 sessions and {number(costs[1000])} ms with "
            f"1,000, so that {self._cores} processors give {number(bounds[4])}/s and {number(bounds[1000])}/s at the most."
        )
