"""Owns what every client must see of smcp, whatever it is written with; knows no client.

A client is a function `connect(door, elicit=None)`: an async context manager which gives a session with

    revision, server_name        what was negotiated
    tools()                      -> list of {"name", "description", "inputSchema"}
    call(name, arguments, on_progress=None) -> Result, or Refused for a JSON-RPC error
    abandon(name, arguments, started)       starts a call, awaits `started()`, cancels it; True if it was answered
    many(calls)                  -> Results of several (name, arguments) at once, or else
    load(name, arguments, count) -> how many of so many at once succeeded, where a client does not show their results

`elicit` takes the question's message and schema and returns (action, content). What a client needs for the checks of
everything else that a plugin can offer is in `offers.py`.
"""

import asyncio
import hashlib
import json
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from report import Skip

# In the order in which they are listed: by plugin, then as the plugin describes them, then the built-in ones.
TOOLS = [
    "demo_math__calculate",
    "demo_math__format_bytes",
    "demo_math__coin_flip",
    "demo_text__echo",
    "demo_text__word_count",
    "demo_text__slugify",
    "demo_text__hash_preview",
    "interop__big",
    "interop__greet",
    "interop__whoami",
    "slow__count",
    "slow__wait",
    "health",
]
# Listed as well where the governor is switched on.
GOVERNOR = "sanctum__tools"

UNICODE = 'Grüße — 世界 🦀 e\u0301 עברית "quoted" \\back\\ <tag> &amp; tab\there, line\nbreak'
LINE = 'abcdefghijklmnopqrstuvwxyz0123456789·äöü·世界·🦀·"\\;'
AGENT = "agent-00000000-1111-2222-3333-444444444444"
STARTS_WITHIN = 15.0
GONE_WITHIN = 6.5
INVALID_PARAMS = -32602


class Refused(Exception):
    """The server answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str):
        super().__init__(f"{code} {message}")
        self.code = code


@dataclass
class Result:
    """A tool's result in the words of the protocol."""

    content: list[dict[str, Any]]
    is_error: bool
    structured: Any = None

    @property
    def text(self) -> str:
        assert [block["type"] for block in self.content] == ["text"], f"not one text block: {self.content!r:.200}"
        return self.content[0]["text"]


@dataclass
class Door:
    """Where and how a client connects."""

    kind: str
    url: str = ""
    keyed_url: str = ""
    key: str = ""
    command: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def named(kind: str) -> "Door":
        """The door that the environment points to."""
        if kind == "stdio":
            return Door(kind, command=json.loads(os.environ["SMCP_STDIO"]))
        path = "/sse" if kind == "sse" else "/mcp"
        keyed = os.environ.get("SMCP_KEYED_URL", "")
        return Door(kind, os.environ["SMCP_URL"] + path, keyed and keyed + path, os.environ.get("SMCP_KEY", ""))

    def with_headers(self, **headers: str) -> "Door":
        return Door(self.kind, self.url, self.keyed_url, self.key, self.command, headers)

    def offering(self) -> "Door":
        """The server whose plugins offer more than tools."""
        given = os.environ.get("SMCP_OFFERS_STDIO" if self.kind == "stdio" else "SMCP_OFFERS_URL")
        if not given:
            raise Skip("no server with the plugins that offer more than tools was given")
        if self.kind == "stdio":
            return Door(self.kind, command=json.loads(given))
        return Door(self.kind, given + ("/sse" if self.kind == "sse" else "/mcp"))

    def keyed(self, **headers: str) -> "Door":
        """The server that asks for a key."""
        if self.kind == "stdio":
            raise Skip("keys are for the doors over HTTP")
        if not self.keyed_url:
            raise Skip("no server with a key was given")
        return Door(self.kind, self.keyed_url, headers=headers)


def expect_failure(result: Result, code: str, *parts: str) -> None:
    """A failed call says why twice: for people in its text, for programs in its code."""
    assert result.is_error is True, f"isError is {result.is_error!r}"
    error = result.structured["error"]
    assert error["code"] == code, f"the code is {error['code']!r}, not {code!r}"
    assert error["message"] == result.text, f"{error['message']!r} is not the text {result.text!r}"
    for part in parts:
        assert re.search(rf"\b{part}\b", result.text), f"{part!r} is not in {result.text!r}"


def expect_success(result: Result) -> str:
    assert result.is_error is False, f"isError is {result.is_error!r}: {result.text!r:.300}"
    assert result.structured is None, f"structured content nobody declared: {result.structured!r:.200}"
    return result.text


def expect_equal(seen: Any, wanted: Any) -> None:
    assert seen == wanted, f"got {seen!r:.300}, not {wanted!r:.300}"


class Waiting:
    """A call of `slow__wait` and the two processes that it consists of."""

    def __init__(self) -> None:
        self.pid_file = Path(tempfile.mkdtemp(prefix="smcp-wait-")) / "pids"
        self.arguments = {"pid_file": str(self.pid_file)}

    async def started(self) -> None:
        deadline = asyncio.get_running_loop().time() + STARTS_WITHIN
        while not self.pid_file.exists():
            assert asyncio.get_running_loop().time() < deadline, f"not started within {STARTS_WITHIN} s"
            await asyncio.sleep(0.02)
        for pid in self._pids():
            assert alive(pid), f"process {pid} ended on its own"

    async def gone(self) -> None:
        deadline = asyncio.get_running_loop().time() + GONE_WITHIN
        while left := [pid for pid in self._pids() if alive(pid)]:
            assert asyncio.get_running_loop().time() < deadline, f"still running {GONE_WITHIN} s later: {left}"
            await asyncio.sleep(0.02)

    def _pids(self) -> list[int]:
        return [int(pid) for pid in self.pid_file.read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


CHECKS: list[tuple[str, str, Any]] = []


def check(topic: str, claim: str):
    def keep(run):
        CHECKS.append((topic, claim, run))
        return run

    return keep


@check("connect", "the server says who it is and agrees on a revision")
async def introduction(client, door):
    async with client.connect(door) as session:
        expect_equal(session.server_name, "sanctum-letta-mcp")
        expect_equal(session.revision, client.revision(door))


@check("list", "every tool is listed, in the fixed order, with its schema")
async def listing(client, door):
    async with client.connect(door) as session:
        tools = await session.tools()
    expect_equal([tool["name"] for tool in tools if tool["name"] != GOVERNOR], TOOLS)
    for tool in tools:
        assert tool["description"], f"{tool['name']} has no description"
    schema = next(tool["inputSchema"] for tool in tools if tool["name"] == "demo_math__calculate")
    expect_equal(schema["type"], "object")
    expect_equal(sorted(schema["properties"]), ["a", "b", "operation"])
    expect_equal(sorted(schema["required"]), ["a", "b", "operation"])
    expect_equal(schema["additionalProperties"], False)
    expect_equal(schema["properties"]["a"]["type"], "number")


@check("call", "2 + 3 is 5.0, told as the plugin printed it")
async def good_call(client, door):
    async with client.connect(door) as session:
        result = await session.call("demo_math__calculate", {"operation": "add", "a": 2, "b": 3})
    told = json.loads(expect_success(result))
    expect_equal(told, {"ok": True, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0})
    assert isinstance(told["result"], float), f"the result is {told['result']!r}"


@check("call", "a tool without arguments is called without any")
async def no_arguments(client, door):
    async with client.connect(door) as session:
        flip = json.loads(expect_success(await session.call("demo_math__coin_flip", {})))
        health = json.loads(expect_success(await session.call("health", {})))
    assert flip["ok"] is True, f"{flip!r}"
    expect_equal(health["status"], "healthy")
    expect_equal(sorted(health["plugin_names"]), ["demo_math", "demo_text", "interop", "slow"])


@check("call", "the plugin learns the tool, the client and its capabilities, and no secret")
async def caller_known(client, door):
    async with client.connect(door) as session:
        told = json.loads(expect_success(await session.call("interop__whoami", {})))
    expect_equal(told["tool"], "interop__whoami")
    expect_equal(told["client"]["revision"], client.revision(door))
    assert isinstance(told["client"]["capabilities"], dict), f"{told['client']!r}"
    expect_equal(told["secrets"], [])


@check("call", "the agent that the client names reaches the plugin")
async def agent_known(client, door):
    if door.kind == "stdio":
        raise Skip("there are no headers on stdio")
    async with client.connect(door.with_headers(**{"X-Agent-Id": AGENT})) as session:
        told = json.loads(expect_success(await session.call("interop__whoami", {})))
    expect_equal(told["agent"], AGENT)


@check("failing call", "what the plugin refuses is an error result with its own words")
async def failing_call(client, door):
    async with client.connect(door) as session:
        result = await session.call("demo_math__calculate", {"operation": "divide", "a": 1, "b": 0})
    expect_failure(result, "plugin_error", "division_by_zero")


@check("failing call", "missing, unknown and ill-typed arguments are named and nothing is started")
async def bad_arguments(client, door):
    async with client.connect(door) as session:
        missing = await session.call("demo_math__calculate", {"operation": "add", "a": 2})
        unknown = await session.call("demo_text__echo", {"message": "x", "shout": True})
        ill_typed = await session.call("slow__count", {"steps": "many"})
    expect_failure(missing, "invalid_arguments", "b")
    expect_failure(unknown, "invalid_arguments", "shout")
    expect_failure(ill_typed, "invalid_arguments", "steps")


@check("failing call", "a tool that does not exist is refused the way this door refuses it")
async def unknown_tool(client, door):
    async with client.connect(door) as session:
        for name, code in [("nowhere__at_all", "plugin_not_found"), ("demo_math__at_all", "command_not_found")]:
            try:
                result = await session.call(name, {})
            except Refused as refused:
                assert door.kind != "sse", f"{name} is a JSON-RPC error on /sse: {refused}"
                expect_equal(refused.code, INVALID_PARAMS)
            else:
                assert door.kind != "mcp", f"{name} is no JSON-RPC error on /mcp: {result}"
                expect_failure(result, code, name.split("__")[0])


@check("unicode", "what is written in other scripts comes back to the letter")
async def unicode(client, door):
    async with client.connect(door) as session:
        result = await session.call("demo_text__echo", {"message": UNICODE})
    expect_equal(json.loads(expect_success(result))["output"], UNICODE)


@check("progress", "every step is told before the result")
async def progress(client, door):
    told = []
    async with client.connect(door) as session:
        result = await session.call("slow__count", {"steps": 4}, on_progress=lambda *step: told.append(step))
        at_the_end = list(told)
    expect_equal(json.loads(expect_success(result)), {"counted": 4})
    expect_equal(at_the_end, [(float(step), 4.0, f"step {step} of 4") for step in range(1, 5)])


@check("cancel", "a cancelled call's processes are gone, no answer follows, the session goes on")
async def cancel(client, door):
    waiting = Waiting()
    async with client.connect(door) as session:
        answered = await session.abandon("slow__wait", waiting.arguments, waiting.started)
        await waiting.gone()
        assert not answered, "the cancelled call was answered"
        again = await session.call("demo_math__calculate", {"operation": "add", "a": 2, "b": 3})
        expect_equal(json.loads(expect_success(again))["result"], 5.0)


@check("leave", "a client that leaves in the middle of a call takes its processes with it")
async def leave(client, door):
    if door.kind == "mcp" and client.revision(door) < "2026-07-28":
        raise Skip(f"under {client.revision(door)} a lost connection does not cancel")
    waiting = Waiting()
    async with client.connect(door) as session:
        call = asyncio.create_task(session.call("slow__wait", waiting.arguments))
        await waiting.started()
        if door.kind == "mcp":
            call.cancel()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await waiting.gone()


@check("elicitation", "the plugin's question reaches the user and the answer reaches the plugin")
async def elicitation(client, door):
    asked = []

    def answer(message, schema):
        asked.append((message, schema))
        return "accept", {"name": "Ada 世界"}

    async with client.connect(door, elicit=answer) as session:
        result = await session.call("interop__greet", {})
    expect_equal(expect_success(result), "Hello, Ada 世界!")
    expect_equal([message for message, _ in asked], ["What is your name?"])
    expect_equal(asked[0][1]["required"], ["name"])


@check("elicitation", "a question that the user declines is declined")
async def declined(client, door):
    async with client.connect(door, elicit=lambda *_: ("decline", None)) as session:
        result = await session.call("interop__greet", {})
    expect_equal(expect_success(result), "No name given: decline")


@check("failing call", "a plugin that would ask a client which cannot be asked is told so")
async def cannot_be_asked(client, door):
    async with client.connect(door) as session:
        result = await session.call("interop__greet", {})
    expect_failure(result, "plugin_error", "could not ask")


async def whole(client, door, size):
    wanted = LINE * (size // len(LINE.encode()))
    async with client.connect(door) as session:
        text = expect_success(await session.call("interop__big", {"size": size}))
    expect_equal(len(text), len(wanted))
    expect_equal(hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(wanted.encode()).hexdigest())


@check("1 MB result", "a million bytes arrive whole")
async def large(client, door):
    await whole(client, door, 1_000_000)


@check("10 MB result", "ten million bytes arrive whole")
async def larger(client, door):
    if why := client.too_large(door):
        raise Skip(why)
    await whole(client, door, 10_000_000)


@check("16 at once", "sixteen calls side by side get sixteen answers, none of them crossed")
async def sixteen(client, door):
    calls = [("demo_text__echo", {"message": f"call {number}"}) for number in range(16)]
    async with client.connect(door) as session:
        if hasattr(session, "load"):
            return expect_equal(await session.load(*calls[0], len(calls)), len(calls))
        results = await session.many(calls)
    expect_equal([json.loads(expect_success(result))["output"] for result in results], [f"call {n}" for n in range(16)])


@check("key", "the right key opens the door, as a bearer token and as X-API-Key")
async def right_key(client, door):
    for headers in ({"Authorization": f"Bearer {door.key}"}, {"X-API-Key": door.key}):
        async with client.connect(door.keyed(**headers)) as session:
            result = await session.call("demo_math__calculate", {"operation": "add", "a": 2, "b": 3})
            expect_equal(json.loads(expect_success(result))["result"], 5.0)


@check("key", "no key and a wrong key are turned away")
async def wrong_key(client, door):
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        turned_away = False
        try:
            async with client.connect(door.keyed(**headers)) as session:
                await session.tools()
        except Skip:
            raise
        except Exception as error:
            turned_away = client.unauthorized(error)
            assert turned_away, f"turned away, but not for the key: {error!r:.300}"
        assert turned_away, f"let in with {headers}"
