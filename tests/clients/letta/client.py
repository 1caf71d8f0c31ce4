"""Letta's own two SSE clients, and what Letta does with every tool that they list.

Letta opens a new connection for each call, names the agent in a header, and refuses tools whose schema it cannot
make strict or whose name is too long.
"""

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager

os.environ.setdefault("LETTA_DIR", os.path.join(os.environ["HOME"], "letta"))

from checks import AGENT, GOVERNOR, TOOLS, UNICODE, Door, expect_equal
from letta.constants import MAX_TOOL_NAME_LENGTH
from letta.errors import LettaMCPConnectionError
from letta.functions.mcp_client.types import MCPTool, MCPToolHealth, SSEServerConfig
from letta.functions.schema_generator import generate_tool_schema_for_mcp, normalize_mcp_schema
from letta.functions.schema_validator import SchemaHealth, validate_complete_json_schema
from letta.schemas.tool import ToolCreate
from letta.services.mcp.fastmcp_client import AsyncFastMCPSSEClient
from letta.services.mcp.sse_client import AsyncSSEMCPClient
from report import Report, leaf

ADD = {"operation": "add", "a": 2, "b": 3}
SUM = {"ok": True, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0}
CALLS = 200


def config(url: str, key: str | None = None, header: str = "Authorization") -> SSEServerConfig:
    """The server as Letta's API takes it; the token of the Authorization header carries its scheme."""
    credential = {}
    if key:
        token = f"Bearer {key}" if header == "Authorization" else key
        credential = {"auth_header": header, "auth_token": token}
    return SSEServerConfig(server_name="smcp", server_url=url, **credential)


class Suite:
    """The checks, for one of the two classes."""

    def __init__(self, kind, door: Door):
        self.kind = kind
        self.door = door

    @asynccontextmanager
    async def connected(self, server=None, agent=AGENT):
        client = self.kind(server or config(self.door.url), agent_id=agent)
        await client.connect_to_server()
        try:
            yield client
        finally:
            await client.cleanup()

    async def execute(self, name, arguments, **connection):
        """One call the way Letta makes it: connect, call, close."""
        async with self.connected(**connection) as client:
            return await client.execute_tool(name, arguments)

    async def lists(self):
        async with self.connected() as client:
            tools = await client.list_tools()
            expect_equal([tool.name for tool in tools if tool.name != GOVERNOR], TOOLS)
            expect_equal(
                [tool["name"] for tool in await client.list_tools(serialize=True)], [tool.name for tool in tools]
            )

    async def accepts_every_tool(self):
        async with self.connected() as client:
            tools = await client.list_tools()
        for listed in tools:
            assert len(listed.name) <= MAX_TOOL_NAME_LENGTH, f"{listed.name} is longer than {MAX_TOOL_NAME_LENGTH}"
            tool = MCPTool.model_validate(listed.model_dump())
            tool.inputSchema = normalize_mcp_schema(tool.inputSchema)
            health, reasons = validate_complete_json_schema(tool.inputSchema)
            assert health is SchemaHealth.STRICT_COMPLIANT, f"{tool.name} is {health.value}: {reasons}"
            tool.health = MCPToolHealth(status=health.value, reasons=reasons)
            for strict in (False, True):
                schema = generate_tool_schema_for_mcp(tool.model_copy(deep=True), strict=strict)
                expect_equal(schema["name"], tool.name)
            created = ToolCreate.from_mcp("smcp", tool)
            expect_equal(created.json_schema["name"], tool.name)

    async def calls(self):
        text, well = await self.execute("demo_math__calculate", ADD)
        expect_equal((json.loads(text), well), (SUM, True))

    async def calls_without_arguments(self):
        text, well = await self.execute("demo_math__coin_flip", {})
        expect_equal((json.loads(text)["ok"], well), (True, True))

    async def calls_with_unicode(self):
        text, well = await self.execute("demo_text__echo", {"message": UNICODE})
        expect_equal((json.loads(text)["output"], well), (UNICODE, True))

    async def calls_with_nulls(self):
        text, well = await self.execute("demo_text__echo", {"message": "strict mode", "prefix": None})
        expect_equal((json.loads(text)["output"], well), ("strict mode", True))

    async def is_told_of_failure(self):
        text, well = await self.execute("demo_math__calculate", {"operation": "divide", "a": 1, "b": 0})
        assert not well and "division_by_zero" in text, f"{well} {text!r}"

    async def is_told_what_is_missing(self):
        text, well = await self.execute("demo_math__calculate", {"operation": "add", "a": 2})
        assert not well and re.search(r"\bb\b", text), f"{well} {text!r}"

    async def is_told_of_unknown_tools(self):
        text, well = await self.execute("nowhere__at_all", {})
        assert not well and "nowhere" in text, f"{well} {text!r}"

    async def names_its_agent(self):
        for agent in (AGENT, None):
            text, well = await self.execute("interop__whoami", {}, agent=agent)
            expect_equal((json.loads(text)["agent"] or None, well), (agent, True))

    async def shows_its_key(self):
        keyed = self.door.keyed().url
        for header in ("Authorization", "X-API-Key"):
            text, well = await self.execute("demo_math__calculate", ADD, server=config(keyed, self.door.key, header))
            expect_equal((json.loads(text), well), (SUM, True))

    async def is_turned_away(self):
        for key in (None, "wrong"):
            try:
                async with self.connected(config(self.door.keyed().url, key)):
                    pass
            except LettaMCPConnectionError as error:
                why = f"{error} {leaf(error.__cause__)}"
                assert "401" in why, f"turned away, but not for the key: {why}"
                continue
            raise AssertionError(f"let in with the key {key!r}")

    async def is_ended_by_close(self):
        client = self.kind(config(self.door.url), agent_id=AGENT)
        await client.connect_to_server()
        await client.cleanup()
        # Closing twice is what Letta does after an error.
        await client.cleanup()
        text, well = await self.execute("demo_math__calculate", ADD)
        expect_equal((json.loads(text), well), (SUM, True))

    async def connects_again_for_each(self):
        for number in range(CALLS):
            text, well = await self.execute("demo_math__calculate", {"operation": "add", "a": number, "b": 1})
            expect_equal((json.loads(text)["result"], well), (number + 1.0, True))


CLAIMS = [
    ("list", "every tool is listed, as objects and serialised", Suite.lists),
    ("list", "every tool passes Letta's normalisation, validation and schema generation", Suite.accepts_every_tool),
    ("call", "2 + 3 is 5.0", Suite.calls),
    ("call", "a tool without arguments is called", Suite.calls_without_arguments),
    ("call", "null for an optional argument counts as absent", Suite.calls_with_nulls),
    ("call", "the agent's id reaches the plugin, and none when there is none", Suite.names_its_agent),
    ("call", "closing, twice, leaves a server that answers", Suite.is_ended_by_close),
    ("unicode", "what is written in other scripts comes back to the letter", Suite.calls_with_unicode),
    ("failing call", "what the plugin refuses comes as a failure with its words", Suite.is_told_of_failure),
    ("failing call", "a missing argument comes as a failure that names it", Suite.is_told_what_is_missing),
    ("failing call", "an unknown tool comes as a failure that names it", Suite.is_told_of_unknown_tools),
    ("key", "the right key opens the door, as a bearer token and as X-API-Key", Suite.shows_its_key),
    ("key", "no key and a wrong key are turned away", Suite.is_turned_away),
    ("200 connections", f"{CALLS} calls, each over a connection of its own", Suite.connects_again_for_each),
]


async def walk(door: Door) -> int:
    report = Report()
    for kind in (AsyncFastMCPSSEClient, AsyncSSEMCPClient):
        for topic, claim, run in CLAIMS:
            await report.check(topic, f"{kind.__name__}: {claim}", run(Suite(kind, door)), limit=180)
    return report.close()


if __name__ == "__main__":
    sys.exit(asyncio.run(walk(Door.named(sys.argv[1]))))
