"""Owns docs/interop.md: what each client did in one run, as a table; knows nothing of how it did it."""

import json
import re
import subprocess
from pathlib import Path

CLIENTS = Path(__file__).resolve().parents[1]
ROOT = CLIENTS.parents[1]
TOOLS = ["list", "call", "failing call", "progress", "cancel", "10 MB result", "unicode", "16 at once"]
QUESTIONS = ["elicitation", "sampling", "roots"]
OFFERS = ["structured", "arrays", "prompts", "resources", "subscriptions", "completions", "examples"]
DOORS = {"sse": "`/sse`", "mcp": "`/mcp`", "stdio": "stdio"}
NAMES = {
    "python-1": ("Python SDK 1.x", "mcp"),
    "python-2": ("Python SDK 2.x", "mcp"),
    "typescript-1": ("TypeScript SDK 1.x", "@modelcontextprotocol/sdk"),
    "typescript-2": ("TypeScript SDK 2.x", "@modelcontextprotocol/client"),
    "rmcp": ("Rust SDK", "rmcp"),
    "letta-shaped": ("Letta's sequence of requests, over a bare socket", None),
    "letta": ("Letta's own two SSE clients", "letta"),
    "fastmcp": ("FastMCP's client", "fastmcp-slim"),
    "inspector": ("MCP Inspector, `--cli`", "@modelcontextprotocol/inspector"),
}


def version(client: str, package: str | None) -> str:
    """The version that the lock file pins."""
    if package is None:
        return ""
    if client == "rmcp":
        lock = (ROOT / "Cargo.lock").read_text()
        return re.search(rf'^name = "{re.escape(package)}"\nversion = "(.+)"$', lock, re.MULTILINE).group(1)
    requirements = CLIENTS / client / "requirements.txt"
    if requirements.exists():
        return re.search(rf"^{re.escape(package)}==(\S+)$", requirements.read_text(), re.MULTILINE).group(1)
    lock = json.loads((CLIENTS / client / "package-lock.json").read_text())
    return lock["packages"][f"node_modules/{package}"]["version"]


def write_table(path: Path, suites, binary: Path) -> None:
    notes: list[str] = []

    def cell(suite, topic: str) -> str:
        lines = [(verdict, claim) for verdict, found, claim in suite.lines if found == topic]
        if any(verdict == "FAIL" for verdict, _ in lines):
            return "**no**"
        if any(verdict == "pass" for verdict, _ in lines):
            return "yes"
        why = lines[0][1].split(" -- ", 1)[-1] if lines else "not part of this client's checks"
        if why not in notes:
            notes.append(why)
        return f"– <sup>{notes.index(why) + 1}</sup>"

    server = subprocess.run([str(binary), "--version"], capture_output=True, text=True, check=True).stdout.strip()

    def table(columns: list[str], shown) -> list[str]:
        rows = [f"| Client | Version | Transport | {' | '.join(columns)} |", "|---" * (len(columns) + 3) + "|"]
        for suite in shown:
            name, package = NAMES[suite.client]
            cells = [name, version(suite.client, package), DOORS[suite.door]]
            cells += [cell(suite, topic) for topic in columns]
            rows.append("| " + " | ".join(cells) + " |")
        return rows

    # A client whose checks are all skipped has nothing to say in such a table.
    def says_something(suite) -> bool:
        return any(verdict != "skip" and topic in OFFERS for verdict, topic, _ in suite.lines)

    text = [
        "# Which clients work",
        "",
        f"`tests/clients/run --table docs/interop.md` has written this page with {server}. Each row is a real client",
        "that was connected to a real server, whose plugins are ordinary programs. Lock files fix the client's version",
        "(in `tests/clients/`, and `Cargo.lock`). `yes` means that all checks of that column passed, **no** that one of",
        "them failed.",
        "",
        "## Tools and questions",
        "",
        *table(TOOLS + QUESTIONS, suites),
        "",
        "## Everything else that a plugin can offer",
        "",
        "`structured` is a tool with an `output_schema`, also when it fails; `arrays` are results and arguments that are no",
        "object; `examples` are the plugins in [docs/examples](examples/README.md).",
        "",
        *table(OFFERS, filter(says_something, suites)),
        "",
        *(f"{number}. {note[0].upper()}{note[1:]}." for number, note in enumerate(notes, 1)),
    ]
    path.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
