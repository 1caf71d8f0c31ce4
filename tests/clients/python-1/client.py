"""The official Python SDK, 1.x: a session over SSE, Streamable HTTP or stdio."""

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
import official
import session
from checks import Refused, Result
from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from pydantic import AnyUrl
from report import leaf
from suite import main


def transport(door):
    if door.kind == "sse":
        return sse_client(door.url, headers=door.headers)
    if door.kind == "mcp":
        return streamablehttp_client(door.url, headers=door.headers)
    return stdio_client(StdioServerParameters(command=door.command[0], args=door.command[1:]))


@contextmanager
def refusals():
    try:
        yield
    except McpError as error:
        raise Refused(error.error.code, error.error.message) from error


class Session(official.Session):
    def __init__(self, sdk: ClientSession, hello: types.InitializeResult, door, told: list[str]):
        super().__init__(sdk, types, refusals, told)
        self.door = door
        self.revision = str(hello.protocolVersion)
        self.server_name = hello.serverInfo.name

    async def tools(self):
        return [tool.model_dump() for tool in (await self.sdk.list_tools()).tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        with refusals():
            result = await self.sdk.call_tool(name, arguments, progress_callback=told if on_progress else None)
        content = [block.model_dump() for block in result.content]
        return Result(content, result.isError, result.structuredContent)

    async def abandon(self, name, arguments, started):
        # This line of the SDK has no call to cancel with: the notification is the caller's to send, for the next id.
        request_id = self.sdk._request_id
        call = asyncio.create_task(self.call(name, arguments))
        await started()
        params = types.CancelledNotificationParams(requestId=request_id, reason="no longer wanted")
        await self.sdk.send_notification(types.ClientNotification(types.CancelledNotification(params=params)))
        done, _ = await asyncio.wait({call}, timeout=1)
        call.cancel()
        outcome = (await asyncio.gather(call, return_exceptions=True))[0]
        # Over Streamable HTTP the response stream of a cancelled call ends, which the SDK reports as an error.
        return bool(done) and (self.door.kind != "mcp" or isinstance(outcome, Result))

    async def templates(self):
        return [known.uriTemplate for known in (await self.sdk.list_resource_templates()).resourceTemplates]

    async def read(self, uri):
        with refusals():
            result = await self.sdk.read_resource(AnyUrl(uri))
        return [content.model_dump() for content in result.contents]

    @asynccontextmanager
    async def watching(self, uris):
        self.told.clear()
        for uri in uris:
            await self.sdk.subscribe_resource(AnyUrl(uri))
        yield self.told
        for uri in uris:
            await self.sdk.unsubscribe_resource(AnyUrl(uri))

    async def complete(self, kind, name, argument, value, known=None):
        result = await self.completion(kind, name, argument, value, known)
        return result.completion.values, bool(result.completion.hasMore)


class Client(session.Client):
    offers = True
    printed = "python"

    @staticmethod
    def runs_printed(text):
        return [sys.executable, "-c", text], {}

    @staticmethod
    def revision(_door) -> str:
        return types.LATEST_PROTOCOL_VERSION

    @staticmethod
    def unauthorized(error) -> bool:
        error = leaf(error)
        return isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 401

    @asynccontextmanager
    async def connect(self, door, elicit=None, sample=None, roots=None):
        async def note(message):
            if isinstance(message, types.ServerNotification) and isinstance(
                message.root, types.ResourceUpdatedNotification
            ):
                told.append(str(message.root.params.uri))

        told: list[str] = []
        left = False
        try:
            async with (
                transport(door) as streams,
                ClientSession(
                    *streams[:2],
                    **official.callbacks(types, lambda params: params.requestedSchema, elicit, sample, roots),
                    message_handler=note,
                ) as sdk,
            ):
                yield Session(sdk, await sdk.initialize(), door, told)
                left = True
        except* anyio.BrokenResourceError:
            # On stdio this line of the SDK fails in leaving when a message comes in at that very moment.
            if not left or door.kind != "stdio":
                raise


if __name__ == "__main__":
    main(Client())
