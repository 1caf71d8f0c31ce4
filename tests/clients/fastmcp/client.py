"""FastMCP's client, 4.x: over SSE with the handshake, over Streamable HTTP in the sessionless revision."""

from contextlib import asynccontextmanager

import newer
import session
from checks import Refused, Result
from fastmcp import Client as FastClient
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import SSETransport, StreamableHttpTransport
from mcp import MCPError
from suite import main


class Session(session.Session):
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
        return await newer.abandon(self, name, arguments, started)


class Client(newer.Client):
    @asynccontextmanager
    async def connect(self, door, elicit=None):
        async def answer(message, _response_type, params, _context):
            action, content = elicit(message, params.requested_schema)
            return ElicitResult(action=action, content=content)

        kind = SSETransport if door.kind == "sse" else StreamableHttpTransport
        transport = kind(door.url, headers=door.headers, httpx_client_factory=self.watched)
        async with FastClient(transport, elicitation_handler=answer if elicit else None) as client:
            yield Session(client)


if __name__ == "__main__":
    main(Client())
