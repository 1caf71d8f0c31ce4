"""The official Python SDK, 2.x: probes with `server/discover`, and initialises where the door has only that."""

import asyncio
import sys
from contextlib import asynccontextmanager, contextmanager

import httpx2
import mcp_types as types
import newer
import official
from checks import Refused, Result
from mcp import Client as SdkClient
from mcp import MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_MODERN_VERSION
from suite import main


@contextmanager
def refusals():
    try:
        yield
    except MCPError as error:
        raise Refused(error.code, error.message) from error


class Session(official.Session):
    def __init__(self, sdk: SdkClient, told: list[str]):
        super().__init__(sdk, types, refusals, told)
        self.revision = sdk.protocol_version
        self.server_name = sdk.server_info.name

    async def tools(self):
        listed = await self.sdk.list_tools()
        return [tool.model_dump(by_alias=True) for tool in listed.tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        with refusals():
            result = await self.sdk.call_tool(name, arguments, progress_callback=told if on_progress else None)
        content = [block.model_dump(by_alias=True) for block in result.content]
        return Result(content, result.is_error, result.structured_content)

    async def abandon(self, name, arguments, started):
        return await newer.abandon(self, name, arguments, started)

    async def templates(self):
        return [known.uri_template for known in (await self.sdk.list_resource_templates()).resource_templates]

    async def read(self, uri):
        with refusals():
            result = await self.sdk.read_resource(uri)
        return [content.model_dump(by_alias=True) for content in result.contents]

    @asynccontextmanager
    async def watching(self, uris):
        self.told.clear()
        if self.revision >= LATEST_MODERN_VERSION:
            async with self.sdk.listen(resource_subscriptions=uris) as subscription:

                async def note():
                    async for event in subscription:
                        self.told.append(event.uri)

                noting = asyncio.create_task(note())
                yield self.told
                noting.cancel()
            return
        for uri in uris:
            await self.sdk.subscribe_resource(uri)
        yield self.told
        for uri in uris:
            await self.sdk.unsubscribe_resource(uri)

    async def complete(self, kind, name, argument, value, known=None):
        result = await self.completion(kind, name, argument, value, known)
        return result.completion.values, bool(result.completion.has_more)


class Client(newer.Client):
    offers = True
    printed = "python"

    @staticmethod
    def runs_printed(text):
        return [sys.executable, "-c", text], {}

    def http(self, headers=None, timeout=None, auth=None) -> httpx2.AsyncClient:
        return self.watched(headers=headers, timeout=timeout or httpx2.Timeout(30, read=300), auth=auth)

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
    async def connect(self, door, elicit=None, sample=None, roots=None):
        async def note(message):
            # A client that listens gets the same as an event of its subscription.
            is_update = isinstance(message, types.ResourceUpdatedNotification)
            if is_update and client.protocol_version < LATEST_MODERN_VERSION:
                told.append(message.params.uri)

        told: list[str] = []
        async with SdkClient(
            self.target(door),
            **official.callbacks(types, lambda params: params.requested_schema, elicit, sample, roots),
            message_handler=note,
        ) as client:
            yield Session(client, told)


if __name__ == "__main__":
    main(Client())
