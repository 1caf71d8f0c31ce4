"""FastMCP's client, 4.x: over SSE with the handshake, over Streamable HTTP in the sessionless revision."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
from checks import Refused, Result
from fastmcp import Client as FastClient
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from mcp import MCPError
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from suite import main


class Session:
    def __init__(self, client: FastClient):
        self.client = client
        self.revision = client.session.protocol_version
        self.server_name = client.session.server_info.name

    async def tools(self):
        return [tool.model_dump(by_alias=True) for tool in await self.client.list_tools()]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        try:
            result = await self.client.call_tool_mcp(name, arguments, progress_handler=told if on_progress else None)
        except MCPError as error:
            raise Refused(error.code, error.message) from error
        content = [block.model_dump(by_alias=True) for block in result.content]
        return Result(content, result.is_error, result.structured_content)

    async def abandon(self, name, arguments, started):
        call = asyncio.create_task(self.call(name, arguments))
        await started()
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

    def http(self, **settings) -> httpx2.AsyncClient:
        """The client tells its caller that something was refused, not with which status; so that is watched here."""

        async def watch(response):
            self.status = response.status_code

        return httpx2.AsyncClient(**settings, event_hooks={"response": [watch]})

    @asynccontextmanager
    async def connect(self, door, elicit=None):
        async def answer(message, _response_type, params, _context):
            action, content = elicit(message, params.requested_schema)
            return ElicitResult(action=action, content=content)

        kind = SSETransport if door.kind == "sse" else StreamableHttpTransport
        transport = kind(door.url, headers=door.headers, httpx_client_factory=self.http)
        async with FastClient(transport, elicitation_handler=answer if elicit else None) as client:
            yield Session(client)


if __name__ == "__main__":
    main(Client())
