"""The official Python SDK, 2.x: probes with `server/discover`, and initialises where the door has only that."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import httpx2
import mcp_types as types
from checks import Refused, Result
from mcp import Client as SdkClient
from mcp import MCPError, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION
from suite import main


@contextmanager
def refusals():
    try:
        yield
    except MCPError as error:
        raise Refused(error.code, error.message) from error


class Session:
    def __init__(self, client: SdkClient, told: list[str]):
        self.told = told
        self.client = client
        self.revision = client.protocol_version
        self.server_name = client.server_info.name

    async def tools(self):
        listed = await self.client.list_tools()
        return [tool.model_dump(by_alias=True) for tool in listed.tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        with refusals():
            result = await self.client.call_tool(name, arguments, progress_callback=told if on_progress else None)
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

    async def prompts(self):
        listed = (await self.client.list_prompts()).prompts
        return [{"name": known.name, "arguments": [each.name for each in known.arguments or []]} for known in listed]

    async def prompt(self, name, arguments):
        with refusals():
            result = await self.client.get_prompt(name, arguments)
        return [(message.role, message.content.text) for message in result.messages]

    async def resources(self):
        return [resource.uri for resource in (await self.client.list_resources()).resources]

    async def templates(self):
        return [known.uri_template for known in (await self.client.list_resource_templates()).resource_templates]

    async def read(self, uri):
        with refusals():
            result = await self.client.read_resource(uri)
        return [content.model_dump(by_alias=True) for content in result.contents]

    @asynccontextmanager
    async def watching(self, uris):
        self.told.clear()
        if self.revision >= LATEST_MODERN_VERSION:
            async with self.client.listen(resource_subscriptions=uris) as subscription:

                async def note():
                    async for event in subscription:
                        self.told.append(event.uri)

                noting = asyncio.create_task(note())
                yield self.told
                noting.cancel()
            return
        for uri in uris:
            await self.client.subscribe_resource(uri)
        yield self.told
        for uri in uris:
            await self.client.unsubscribe_resource(uri)

    async def complete(self, kind, name, argument, value, known=None):
        if kind == "prompt":
            reference = types.PromptReference(type="ref/prompt", name=name)
        else:
            reference = types.ResourceTemplateReference(type="ref/resource", uri=name)
        result = await self.client.complete(reference, {"name": argument, "value": value}, known)
        return result.completion.values, bool(result.completion.has_more)


class Client:
    offers = True

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
    async def connect(self, door, elicit=None, sample=None, roots=None):
        async def answer(_context, params):
            action, content = elicit(params.message, params.requested_schema)
            return types.ElicitResult(action=action, content=content)

        async def write(_context, params):
            text = sample([message.content.text for message in params.messages])
            content = types.TextContent(type="text", text=text)
            return types.CreateMessageResult(role="assistant", content=content, model="m")

        async def directories(_context):
            return types.ListRootsResult(roots=[types.Root(uri=uri) for uri in roots])

        async def note(message):
            # A client that listens gets the same as an event of its subscription.
            is_update = isinstance(message, types.ResourceUpdatedNotification)
            if is_update and client.protocol_version < LATEST_MODERN_VERSION:
                told.append(message.params.uri)

        told: list[str] = []
        async with SdkClient(
            self.target(door),
            elicitation_callback=answer if elicit else None,
            sampling_callback=write if sample else None,
            list_roots_callback=directories if roots else None,
            message_handler=note,
        ) as client:
            yield Session(client, told)


if __name__ == "__main__":
    main(Client())
