"""The MCP Inspector's command line: each request is a process of its own, which connects, asks once and leaves."""

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import session
from checks import TOOLS, Result
from report import Skip
from suite import main

# Given first, so that the door's name stays the last argument, as for every client.
PROGRAMS = Path(sys.argv.pop(1))
REVISION = "2025-11-25"
AUTH_REQUIRED = 3


class Failed(Exception):
    """The command ended with an error of its own."""

    def __init__(self, code: int, said: str):
        super().__init__(f"exit code {code}: {said}")
        self.code = code


class Session:
    def __init__(self, door):
        self.door = door

    async def introduce(self) -> None:
        hello = await self.ask("initialize")
        self.revision = hello["protocolVersion"]
        self.server_name = hello["serverInfo"]["name"]

    async def start(self, method: str, *flags: str):
        command = [PROGRAMS / "node", PROGRAMS / "mcp-inspector", "--cli"]
        if self.door.kind == "stdio":
            # Everything before the method belongs to the server's own command line.
            target = [*self.door.command, "--transport", "stdio"]
        else:
            transport = "sse" if self.door.kind == "sse" else "http"
            target = ["--transport", transport, "--server-url", self.door.url, "--stored-auth-only"]
        headers = [flag for pair in self.door.headers.items() for flag in ("--header", ": ".join(pair))]
        return await asyncio.create_subprocess_exec(
            *command,
            *target,
            *headers,
            *("--method", method, "--format", "json", "--quiet", *flags),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        )

    async def ask(self, method: str, *flags: str) -> dict:
        command = await self.start(method, *flags)
        try:
            out, err = await command.communicate()
        finally:
            if command.returncode is None:
                command.terminate()
                await command.wait()
        if out:
            return json.loads(out)["result"]
        raise Failed(command.returncode, err.decode(errors="replace")[-500:])

    async def tools(self):
        return (await self.ask("tools/list"))["tools"]

    async def call(self, name, arguments, on_progress=None):
        if on_progress:
            raise Skip("the command line shows no progress")
        flags = ("--tool-name", name, "--tool-args-json", json.dumps(arguments))
        try:
            result = await self.ask("tools/call", *flags)
        except Failed as failed:
            if '"tool_not_found"' in str(failed) and name not in TOOLS:
                raise Skip("the command line itself refuses a tool that is not listed") from failed
            raise
        return Result(result["content"], result.get("isError", False), result.get("structuredContent"))

    async def abandon(self, name, arguments, started):
        """There is no way to take a call back but to end the command."""
        if self.door.kind == "mcp":
            raise Skip("the command line can only disconnect, which does not cancel under 2025-11-25")
        flags = ("--tool-name", name, "--tool-args-json", json.dumps(arguments))
        command = await self.start("tools/call", *flags)
        await started()
        command.terminate()
        out, _ = await command.communicate()
        return bool(out)

    async def load(self, name, arguments, count):
        """Several calls at once over one connection; the command line tells how many succeeded, not what they gave."""
        flags = ("--tool-name", name, "--tool-args-json", json.dumps(arguments))
        pressure = ("--load", "--load-concurrency", str(count), "--load-requests", str(count))
        return (await self.ask("tools/call", *flags, *pressure))["ok"]


class Client(session.Client):
    printed = "inspector"

    @staticmethod
    def runs_printed(text):
        # npx takes the package that is installed where it is run.
        path = f"{PROGRAMS}:{os.environ['PATH']}"
        return ["sh", "-c", text], {"cwd": PROGRAMS.parent.parent, "env": {"PATH": path}}

    @staticmethod
    def revision(_door) -> str:
        return REVISION

    @staticmethod
    def unauthorized(error) -> bool:
        return isinstance(error, Failed) and error.code == AUTH_REQUIRED

    @asynccontextmanager
    async def connect(self, door, elicit=None):
        if elicit:
            raise Skip("the command line cannot be asked")
        session = Session(door)
        await session.introduce()
        yield session


if __name__ == "__main__":
    main(Client())
