"""The plugins of a directory as tools of FastMCP: each call starts the plugin's program, as smcp does.

server.py PLUGINS PYTHON sse PORT       over HTTP+SSE
server.py PLUGINS PYTHON stdio          over standard input and output, for the proxies
server.py PLUGINS PYTHON in-process PORT    a tool that computes in the server itself, isolated from nothing
"""

import asyncio
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastmcp import FastMCP
from fastmcp.tools.base import Tool, ToolResult

TYPES = {"string": "string", "number": "number", "integer": "integer", "boolean": "boolean"}


class Program(Tool):
    """One command of a plugin."""

    argv: list[str]

    async def run(self, arguments):
        words = [word for name, value in arguments.items() for word in ("--" + name.replace("_", "-"), str(value))]
        program = await asyncio.create_subprocess_exec(
            *self.argv,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            stdout, stderr = await program.communicate()
        finally:
            # Cancelled in mid-call, the program must not outlive it; whether it is cancelled is the server's doing.
            if program.returncode is None:
                program.kill()
        text = stdout if program.returncode == 0 else stdout or stderr
        return ToolResult(content=text.decode(), is_error=program.returncode != 0)


def describe(python: str, program: Path) -> list[Tool]:
    asked = subprocess.run([python, program, "--describe"], stdout=subprocess.PIPE, check=True)
    tools = []
    for command in json.loads(asked.stdout)["commands"]:
        parameters = command.get("parameters", [])
        schema = {
            "type": "object",
            "properties": {p["name"]: {"type": TYPES[p["type"]]} for p in parameters},
            "required": [p["name"] for p in parameters if p.get("required")],
        }
        tools.append(
            Program(
                name=f"{program.parent.name}__{command['name']}",
                description=command["description"],
                parameters=schema,
                argv=[python, str(program), command["name"]],
            )
        )
    return tools


def calculate(operation: str, a: float, b: float) -> str:
    """The same sum as the plugin's, without a process."""
    result = {"add": a + b}[operation]
    return json.dumps({"ok": True, "operation": operation, "a": a, "b": b, "result": result}, indent=2)


def main() -> None:
    plugins, python, transport, *port = sys.argv[1:]
    server = FastMCP("plugins")
    if transport == "in-process":
        server.add_tool(Tool.from_function(calculate, name="demo_math__calculate"))
        transport = "sse"
    else:
        programs = sorted(Path(plugins).glob("*/cli.py"))
        with ThreadPoolExecutor(8) as pool:
            for tools in pool.map(lambda program: describe(python, program), programs):
                for tool in tools:
                    server.add_tool(tool)
    if transport == "stdio":
        server.run("stdio", show_banner=False, log_level="ERROR")
    else:
        server.run(transport, host="127.0.0.1", port=int(port[0]), show_banner=False, log_level="ERROR")


if __name__ == "__main__":
    main()
