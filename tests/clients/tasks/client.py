"""Tasks by the official Python SDK, 1.x, the line that has them: its own server, which is killed and started again."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import warnings
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import ClientSession, McpError, types
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client
from report import Report
from server import ROOT, Server

# Its tasks are marked as something that the next line of the SDK does otherwise.
warnings.simplefilter("ignore", DeprecationWarning)
JOBS = ROOT / "tests" / "fixtures" / "tasks" / "jobs.py"


class Place:
    """The directory of one check: its plugin, what its servers keep, and the files that jobs wait for."""

    def __init__(self, scratch: Path):
        self.home = scratch
        (scratch / "plugins" / "jobs").mkdir(parents=True)
        shutil.copy(JOBS, scratch / "plugins" / "jobs" / "cli.py")

    def serve(self) -> Server:
        binary = Path(os.environ["SMCP_PROGRAM"])
        return Server(binary, self.home / "plugins", self.home, MCP_STATE_DIR=str(self.home / "state"))

    def file(self, name: str) -> str:
        return str(self.home / name)

    def let_go(self, name: str) -> None:
        new = self.home / f"{name}.new"
        new.write_text(name)
        new.rename(self.home / name)

    async def began(self, name: str) -> None:
        while not (self.home / f"{name}.began").exists():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def connected(door: str, url: str):
    async def fill_in(_context, params):
        assert "io.modelcontextprotocol/related-task" in params.meta.model_dump(), params
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    transport = sse_client(f"{url}/sse") if door == "sse" else streamablehttp_client(f"{url}/mcp")
    async with transport as streams, ClientSession(streams[0], streams[1], elicitation_callback=fill_in) as session:
        hello = await session.initialize()
        assert hello.capabilities.tasks.requests.tools.call is not None, hello.capabilities
        yield session


def text(result: types.CallToolResult) -> str:
    [block] = result.content
    return block.text


async def result_of(session, task) -> str:
    return text(await session.experimental.get_task_result(task.taskId, types.CallToolResult))


async def call(session, tool: str, **arguments):
    return (await session.experimental.call_tool_as_task(tool, arguments, ttl=600_000)).task


async def a_task_is_polled_to_its_end(door, place):
    with place.serve() as server:
        async with connected(door, server.url) as session:
            task = await call(session, "jobs__wait", file=place.file("a"))
            assert (task.status, task.ttl) == ("working", 600_000), task
            place.let_go("a")
            async for status in session.experimental.poll_task(task.taskId):
                assert status.status in ("working", "completed"), status
            assert await result_of(session, task) == "waited for a"
            listed = await session.experimental.list_tasks()
            assert [known.taskId for known in listed.tasks] == [task.taskId]


async def a_task_that_asks_is_answered_while_its_result_is_waited_for(door, place):
    with place.serve() as server:
        async with connected(door, server.url) as session:
            task = await call(session, "jobs__ask")
            assert "Ada" in await result_of(session, task)


async def a_task_is_cancelled_once(door, place):
    with place.serve() as server:
        async with connected(door, server.url) as session:
            task = await call(session, "jobs__wait", file=place.file("a"))
            assert (await session.experimental.cancel_task(task.taskId)).status == "cancelled"
            try:
                await session.experimental.cancel_task(task.taskId)
            except McpError as error:
                assert error.error.code == types.INVALID_PARAMS, error.error
            else:
                raise AssertionError("it was cancelled twice")


async def results_are_there_after_the_server_was_killed(door, place):
    with place.serve() as server:
        try:
            async with connected(door, server.url) as session:
                done = await call(session, "jobs__wait", file=place.file("done"))
                place.let_go("done")
                await result_of(session, done)
                ran = await call(session, "jobs__wait", file=place.file("ran"))
                await place.began("ran")
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
        except* Exception:
            # The SDK says in ways of its own that its server is gone.
            assert server.process.poll() is not None
    with place.serve() as server:
        async with connected(door, server.url) as session:
            assert await result_of(session, done) == "waited for done"
            failed = await session.experimental.get_task(ran.taskId)
            assert failed.status == "failed" and "restarted" in failed.statusMessage, failed


async def a_call_is_kept_whose_client_has_gone(door, place):
    with place.serve() as server:
        try:
            async with connected(door, server.url) as session:
                waiting = asyncio.create_task(session.call_tool("jobs__wait", {"file": place.file("a")}))
                await place.began("a")
                waiting.cancel()
        except* Exception:
            pass
        place.let_go("a")
        async with connected(door, server.url) as session:
            listed = await session.call_tool("smcp__result", {})
            [known] = json.loads(text(listed))["calls"]
            given = await session.call_tool("smcp__result", {"id": known["id"], "wait": 30})
            assert text(given) == "waited for a", given


CHECKS = [
    a_task_is_polled_to_its_end,
    a_task_that_asks_is_answered_while_its_result_is_waited_for,
    a_task_is_cancelled_once,
    results_are_there_after_the_server_was_killed,
    a_call_is_kept_whose_client_has_gone,
]


async def walk(door: str) -> int:
    report = Report()
    for check in CHECKS:
        with tempfile.TemporaryDirectory() as scratch:
            await report.check("tasks", check.__name__.replace("_", " "), check(door, Place(Path(scratch))))
    return report.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(walk(sys.argv[1])))
