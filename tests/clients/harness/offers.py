"""Owns what clients must see of everything that a plugin can offer beside plain tools: questions, results that are no
text, prompts, resources, subscriptions, completions. The plugin is `tests/fixtures/plugins/offers`.

A client that can show it says so with `offers = True`, takes `connect(door, elicit=None, sample=None, roots=None)`, and
its session has

    prompts()                            -> list of {"name", "arguments": [names]}
    prompt(name, arguments)              -> list of (role, text)
    resources(), templates()             -> list of URIs
    read(uri)                            -> list of {"uri", "mimeType", "text" or "blob"}
    watching(uris)                       a context manager; gives the list of URIs that it is told of, as it grows
    complete(kind, name, argument, value, known=None) -> (values, has_more); kind is "prompt" or "resource"

`sample` takes the texts that the model is asked with and returns its text, `roots` is a list of URIs.
"""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

from checks import STARTS_WITHIN, Refused, check, expect_equal, expect_failure
from report import Skip

MISSING_CAPABILITY = -32021
NOT_FOUND = -32002
INVALID_PARAMS = -32602
STATELESS = "2026-07-28"
ROOTS = ["file:///home/ada/project", "file:///home/ada/%E4%B8%96"]


def accept_name(_message, _schema):
    return "accept", {"name": "Ada 世界"}


def rhyme(texts):
    assert texts == ["a rhyme, please"], f"the model was asked {texts!r}"
    return "sun and fun"


@asynccontextmanager
async def offering(client, door, **user):
    """A session with the server whose plugins offer more than tools."""
    if not getattr(client, "offers", False):
        raise Skip("not part of this client's checks")
    async with client.connect(door.offering(), **user) as session:
        yield session


async def refused(answer, code: int) -> Refused:
    """The JSON-RPC error that answers a request."""
    try:
        result = await answer
    except Refused as error:
        expect_equal(error.code, code)
        return error
    raise AssertionError(f"it is answered with {result!r:.300}")


async def until(what: str, look) -> None:
    deadline = asyncio.get_running_loop().time() + STARTS_WITHIN
    while not look():
        assert asyncio.get_running_loop().time() < deadline, f"not within {STARTS_WITHIN:.0f} s: {what}"
        await asyncio.sleep(0.02)


def not_found(session) -> int:
    """The code of a resource that is not there."""
    return INVALID_PARAMS if session.revision >= STATELESS else NOT_FOUND


def expect_text(result) -> str:
    """The text of a call that went well, whether or not there is structured content as well."""
    assert result.is_error is False, f"isError is {result.is_error!r}: {result.text!r:.300}"
    return result.text


def structured(session, value: Any) -> Any:
    """Where structured content has to be an object, any other value is wrapped in one."""
    return value if session.revision >= STATELESS or isinstance(value, dict) else {"result": value}


@check("elicitation", "a form, a text of the model and the directories, asked at once, are told apart by their keys")
async def everything_at_once(client, door):
    async with offering(client, door, elicit=accept_name, sample=rhyme, roots=ROOTS) as session:
        answers = json.loads(expect_text(await session.call("offers__everything", {})))
    expect_equal(answers["who"], {"action": "accept", "content": {"name": "Ada 世界"}})
    expect_equal(answers["what"]["content"]["text"], "sun and fun")
    expect_equal([root["uri"] for root in answers["where"]["roots"]], ROOTS)


@check("sampling", "the client's model answers what the plugin asks")
async def sampling(client, door):
    async with offering(client, door, sample=rhyme) as session:
        expect_equal(expect_text(await session.call("offers__rhyme", {})), "sun and fun")


@check("sampling", "a tool that needs a model is refused where the client has none")
async def no_model(client, door):
    async with offering(client, door, elicit=accept_name) as session:
        call = session.call("offers__rhyme", {})
        if session.revision >= STATELESS:
            await refused(call, MISSING_CAPABILITY)
        else:
            expect_failure(await call, "plugin_error", "sampling")


@check("roots", "the client's directories reach the plugin")
async def roots(client, door):
    async with offering(client, door, roots=ROOTS) as session:
        expect_equal(expect_text(await session.call("offers__folders", {})).split(), ROOTS)


@check("structured", "a result that fits its schema is given as data")
async def structured_result(client, door):
    async with offering(client, door) as session:
        result = await session.call("offers__measure", {"station": "EDDF"})
        expect_equal(json.loads(expect_text(result)), {"degrees": 21.5})
        expect_equal(result.structured, {"degrees": 21.5})


@check("structured", "a structured tool that fails says why in its own words")
async def structured_failure(client, door):
    async with offering(client, door) as session:
        await session.tools()
        result = await session.call("offers__measure", {"station": "LEMD"})
    expect_equal(result.is_error, True)
    expect_equal(result.text, "no such station: LEMD")
    # An error does not fit the schema of the results, against which clients hold what is structured.
    expect_equal(result.structured, None)


@check("arrays", "lists, texts and numbers are structured content as well")
async def arrays(client, door):
    async with offering(client, door) as session:
        await session.tools()
        for name, arguments, value in [("list", {}, [1, 2, 3]), ("either", {}, 7), ("either", {"text": True}, "seven")]:
            result = await session.call(f"offers__{name}", arguments)
            expect_equal(json.loads(expect_text(result)), value)
            expect_equal(result.structured, structured(session, value))


@check("arrays", "a parameter that may be anything costs the client nothing")
async def anything(client, door):
    async with offering(client, door) as session:
        names = [tool["name"] for tool in await session.tools()]
        assert "offers__loose" in names, f"{names}"
        for value in ([1, {"a": None}], "text", 7):
            result = await session.call("offers__loose", {"value": value})
            expect_equal(json.loads(expect_text(result)), {"got": value})


@check("prompts", "prompts are listed with their arguments and filled in")
async def prompts(client, door):
    async with offering(client, door) as session:
        listed = {prompt["name"]: prompt["arguments"] for prompt in await session.prompts()}
        expect_equal([listed.get("travel"), listed.get("letter")], [["city", "budget"], []])
        messages = await session.prompt("travel", {"city": "-Ürümqi"})
        expect_equal(messages, [("user", "Plan a journey to -Ürümqi, for any price.")])
        await refused(session.prompt("travel", {}), INVALID_PARAMS)
        await refused(session.prompt("nowhere", {}), INVALID_PARAMS)


@check("prompts", "a prompt can ask the user")
async def asking_prompt(client, door):
    async with offering(client, door, elicit=accept_name) as session:
        expect_equal(await session.prompt("letter", {}), [("assistant", "I am Ada 世界.")])


@check("resources", "texts keep their white space, pictures their bytes, variables their letters")
async def resources(client, door):
    async with offering(client, door) as session:
        listed = await session.resources()
        assert {"offers://makefile", "offers://pixel"} <= set(listed), f"{listed}"
        assert "offers://city/{name}" in await session.templates()
        [makefile] = await session.read("offers://makefile")
        expect_equal([makefile["text"], makefile["mimeType"]], ["\n\tall:\n\n", "text/x-makefile"])
        [pixel] = await session.read("offers://pixel")
        assert pixel["blob"].startswith("iVBOR"), f"{pixel}"
        [city] = await session.read("offers://city/%C3%9Cr%C3%BCmqi")
        expect_equal(city["text"], "about Ürümqi")


@check("resources", "what is not there is refused with the code of the revision")
async def unknown_resource(client, door):
    async with offering(client, door) as session:
        await refused(session.read("offers://nowhere/at/all"), not_found(session))
        await refused(session.read("offers://city/Atlantis"), not_found(session))


@check("subscriptions", "who subscribes is told of that resource and of no other")
async def subscriptions(client, door):
    async with offering(client, door) as session, session.watching(["offers://pixel"]) as told:
        for uri in ("offers://makefile", "offers://pixel"):
            expect_equal(expect_text(await session.call("offers__touch", {"uri": uri})), "touched")
        await until("the client is told", lambda: told)
        expect_equal(told, ["offers://pixel"])


@check("completions", "suggestions fit what was typed and know what is filled in")
async def completions(client, door):
    async with offering(client, door) as session:
        values, has_more = await session.complete("prompt", "travel", "city", "city 01")
        expect_equal(values, [f"city 01{digit}" for digit in range(10)])
        assert not has_more, "there are no more"
        values, _ = await session.complete("prompt", "travel", "city", "none", {"budget": "small"})
        expect_equal(values, ["budget"])


@check("completions", "a hundred suggestions are given, and that there are more")
async def many_completions(client, door):
    async with offering(client, door) as session:
        for kind, name, argument in [("prompt", "travel", "city"), ("resource", "offers://city/{name}", "name")]:
            values, has_more = await session.complete(kind, name, argument, "")
            expect_equal([len(values), has_more], [100, True])
