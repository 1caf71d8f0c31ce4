"""The official Python SDK, 2.x: probes with `server/discover`, and initialises where the door has only that."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import mcp_types as types
from checks import Refused, Result, main
from mcp import Client as SdkClient
from mcp import MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION


class Session:
    def __init__(self, client: SdkClient):
        self.client = client
        self.revision = client.protocol_version
        self.server_name = client.server_info.name

    async def tools(self):
        listed = await self.client.list_tools()
        return [tool.model_dump(by_alias=True) for tool in listed.tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        try:
            result = await self.client.call_tool(name, arguments, progress_callback=told if on_progress else None)
        except MCPError as error:
            raise Refused(error.code, error.message) from error
        content = [block.model_dump(by_alias=True) for block in result.content]
        return Result(content, result.is_error, result.structured_content)

    async def abandon(self, name, arguments, started):
        call = asyncio.create_task(self.call(name, arguments))
        await started()
        # The SDK tells the server what the door asks for: `notifications/cancelled`, or a closed stream.
        call.cancel()
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        return isinstance(outcome, Result)

    async def many(self, calls):
        return await asyncio.gather(*(self.call(*call) for call in calls))


class Client:
    @staticmethod
    def revision(door) -> str:
        return LATEST_HANDSHAKE_VERSION if door.kind == "sse" else LATEST_MODERN_VERSION

    @staticmethod
    def too_large(door) -> str | None:
        if door.kind == "sse":
            return "over `/sse` this client closes the connection at an event over 1 MiB; a result of 1 MB arrives"
        return None

    def __init__(self) -> None:
        self.status = 0

    def unauthorized(self, _error) -> bool:
        return self.status == 401

    def http(self, headers=None, timeout=None, auth=None) -> httpx2.AsyncClient:
        """The SDK tells its caller that something was refused, not with which status; so that is watched here."""

        async def watch(response):
            self.status = response.status_code

        timeout = timeout or httpx2.Timeout(30, read=300)
        return httpx2.AsyncClient(headers=headers, timeout=timeout, auth=auth, event_hooks={"response": [watch]})

    @asynccontextmanager
    async def streamable(self, door):
        async with (
            self.http(headers=door.headers) as http,
            streamable_http_client(door.url, http_client=http) as streams,
        ):
            yield streams

    def target(self, door):
        if door.kind == "sse":
            return sse_client(door.url, headers=door.headers, httpx_client_factory=self.http)
        if door.kind == "mcp":
            return self.streamable(door)
        return StdioServerParameters(command=door.command[0], args=door.command[1:])

    @asynccontextmanager
    async def connect(self, door, elicit=None):
        async def answer(_context, params):
            action, content = elicit(params.message, params.requested_schema)
            return types.ElicitResult(action=action, content=content)

        async with SdkClient(self.target(door), elicitation_callback=answer if elicit else None) as client:
            yield Session(client)


if __name__ == "__main__":
    main(Client())
