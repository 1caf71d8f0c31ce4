"""Owns what clients on the second line of the official SDK have in common: how they take a call back, the revision
that each door speaks, the status of a refusal."""

import asyncio

import httpx2
from checks import Result
from mcp_types.version import LATEST_HANDSHAKE_VERSION, LATEST_MODERN_VERSION


async def abandon(session, name, arguments, started):
    """Starts a call and cancels it; the SDK tells the server what the door asks for: `notifications/cancelled`, or a
    closed stream."""
    call = asyncio.create_task(session.call(name, arguments))
    await started()
    call.cancel()
    outcome = (await asyncio.gather(call, return_exceptions=True))[0]
    return isinstance(outcome, Result)


class Client:
    """Its SDK tells its caller that something was refused, not with which status; so that is watched here."""

    def __init__(self) -> None:
        self.status = 0

    @staticmethod
    def revision(door) -> str:
        return LATEST_HANDSHAKE_VERSION if door.kind == "sse" else LATEST_MODERN_VERSION

    @staticmethod
    def too_large(door) -> str | None:
        if door.kind == "sse":
            return (
                "over `/sse` this client closes the connection at an event over 1 MiB; a result of 1 MB arrives. "
                "Over `/mcp` the same is true of a call that takes longer than `MCP_KEEP_ALIVE`, whose answer is a stream: "
                "`Server-sent event exceeded the 1048576 byte limit`"
            )
        return None

    def unauthorized(self, _error) -> bool:
        return self.status == 401

    def watched(self, **settings) -> httpx2.AsyncClient:
        async def watch(response):
            self.status = response.status_code

        return httpx2.AsyncClient(**settings, event_hooks={"response": [watch]})
