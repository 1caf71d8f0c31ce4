"""The official Python SDK, 1.x: a session over SSE, Streamable HTTP or stdio."""

import asyncio
from contextlib import asynccontextmanager

import anyio
import httpx
from checks import Refused, Result, main
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from report import leaf


def transport(door):
    if door.kind == "sse":
        return sse_client(door.url, headers=door.headers)
    if door.kind == "mcp":
        return streamablehttp_client(door.url, headers=door.headers)
    return stdio_client(StdioServerParameters(command=door.command[0], args=door.command[1:]))


class Session:
    def __init__(self, session: ClientSession, hello: types.InitializeResult, door):
        self.session = session
        self.door = door
        self.revision = str(hello.protocolVersion)
        self.server_name = hello.serverInfo.name

    async def tools(self):
        return [tool.model_dump() for tool in (await self.session.list_tools()).tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        try:
            result = await self.session.call_tool(name, arguments, progress_callback=told if on_progress else None)
        except McpError as error:
            raise Refused(error.error.code, error.error.message) from error
        content = [block.model_dump() for block in result.content]
        return Result(content, result.isError, result.structuredContent)

    async def abandon(self, name, arguments, started):
        # This line of the SDK has no call to cancel with: the notification is the caller's to send, for the next id.
        request_id = self.session._request_id
        call = asyncio.create_task(self.call(name, arguments))
        await started()
        params = types.CancelledNotificationParams(requestId=request_id, reason="no longer wanted")
        await self.session.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
        done, _ = await asyncio.wait({call}, timeout=1)
        call.cancel()
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        # Over Streamable HTTP the response stream of a cancelled call ends, which the SDK reports as an error.
        return bool(done) and (self.door.kind != "mcp" or isinstance(outcome, Result))

    async def many(self, calls):
        return await asyncio.gather(*(self.call(*call) for call in calls))


class Client:
    @staticmethod
    def revision(_door) -> str:
        return types.LATEST_PROTOCOL_VERSION

    @staticmethod
    def unauthorized(error) -> bool:
        error = leaf(error)
        return isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 401

    @staticmethod
    def too_large(_door) -> None:
        """It takes whatever comes."""

    @asynccontextmanager
    async def connect(self, door, elicit=None):
        async def answer(_context, params):
            action, content = elicit(params.message, params.requestedSchema)
            return types.ElicitResult(action=action, content=content)

        callback = answer if elicit else None
        left = False
        try:
            async with (
                transport(door) as streams,
                ClientSession(*streams[:2], elicitation_callback=callback) as session,
            ):
                yield Session(session, await session.initialize(), door)
                left = True
        except* anyio.BrokenResourceError:
            # On stdio this line of the SDK fails in leaving when a message comes in at that very moment.
            if not left or door.kind != "stdio":
                raise


if __name__ == "__main__":
    main(Client())
