"""The official Python SDK, 1.x: a session over SSE, Streamable HTTP or stdio."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import anyio
import httpx
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


class Session:
    def __init__(self, session: ClientSession, hello: types.InitializeResult, door, told: list[str]):
        self.session = session
        self.door = door
        self.told = told
        self.revision = str(hello.protocolVersion)
        self.server_name = hello.serverInfo.name

    async def tools(self):
        return [tool.model_dump() for tool in (await self.session.list_tools()).tools]

    async def call(self, name, arguments, on_progress=None):
        async def told(progress, total, message):
            on_progress(progress, total, message)

        with refusals():
            result = await self.session.call_tool(name, arguments, progress_callback=told if on_progress else None)
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

    async def prompts(self):
        listed = (await self.session.list_prompts()).prompts
        return [{"name": known.name, "arguments": [each.name for each in known.arguments or []]} for known in listed]

    async def prompt(self, name, arguments):
        with refusals():
            result = await self.session.get_prompt(name, arguments)
        return [(message.role, message.content.text) for message in result.messages]

    async def resources(self):
        return [str(resource.uri) for resource in (await self.session.list_resources()).resources]

    async def templates(self):
        return [known.uriTemplate for known in (await self.session.list_resource_templates()).resourceTemplates]

    async def read(self, uri):
        with refusals():
            result = await self.session.read_resource(AnyUrl(uri))
        return [content.model_dump() for content in result.contents]

    @asynccontextmanager
    async def watching(self, uris):
        self.told.clear()
        for uri in uris:
            await self.session.subscribe_resource(AnyUrl(uri))
        yield self.told
        for uri in uris:
            await self.session.unsubscribe_resource(AnyUrl(uri))

    async def complete(self, kind, name, argument, value, known=None):
        if kind == "prompt":
            reference = types.PromptReference(type="ref/prompt", name=name)
        else:
            reference = types.ResourceTemplateReference(type="ref/resource", uri=name)
        result = await self.session.complete(reference, {"name": argument, "value": value}, known)
        return result.completion.values, bool(result.completion.hasMore)


class Client:
    offers = True

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
    async def connect(self, door, elicit=None, sample=None, roots=None):
        async def answer(_context, params):
            action, content = elicit(params.message, params.requestedSchema)
            return types.ElicitResult(action=action, content=content)

        async def write(_context, params):
            text = sample([message.content.text for message in params.messages])
            content = types.TextContent(type="text", text=text)
            return types.CreateMessageResult(role="assistant", content=content, model="m")

        async def directories(_context):
            return types.ListRootsResult(roots=[types.Root(uri=uri) for uri in roots])

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
                    elicitation_callback=answer if elicit else None,
                    sampling_callback=write if sample else None,
                    list_roots_callback=directories if roots else None,
                    message_handler=note,
                ) as session,
            ):
                yield Session(session, await session.initialize(), door, told)
                left = True
        except* anyio.BrokenResourceError:
            # On stdio this line of the SDK fails in leaving when a message comes in at that very moment.
            if not left or door.kind != "stdio":
                raise


if __name__ == "__main__":
    main(Client())
