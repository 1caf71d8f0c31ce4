"""Owns what clients must see of the plugins in `docs/examples`: each does through a client what its page says."""

import base64
import json
import os
import shutil
import tempfile
from pathlib import Path

from checks import check, expect_equal, expect_failure
from offers import expect_text, not_found, offering, refused, until
from report import Skip

INVALID_PARAMS = -32602
PAGE = "wiki://{section}/{page}"


@check("examples", "pictures: a badge is drawn, whatever its texts look like")
async def pictures(client, door):
    async with offering(client, door) as session:
        badge = await session.call("pictures__badge", {"label": "-v <&>", "value": "--label", "colour": "green"})
        bars = await session.call("pictures__bars", {"title": "a\\b", "value": [3, -2, 0.5]})
    for result, parts in [(badge, ["-v &lt;&amp;>", ">--label<", 'fill="green"']), (bars, ["a\\b"])]:
        expect_equal([block["type"] for block in result.content], ["image", "text"])
        drawing = base64.b64decode(result.content[0]["data"]).decode()
        for part in parts:
            assert part in drawing, f"{part!r} is not in {drawing}"


def folder_of(size: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="smcp-archive-"))
    (folder / "in").mkdir()
    (folder / "in" / "noise").write_bytes(os.urandom(size))
    return folder


@check("examples", "archive: a long job tells how far it is")
async def archive(client, door):
    folder = folder_of(300_000)
    target = folder / "out.tar.gz"
    steps = []
    async with offering(client, door) as session:
        arguments = {"folder": str(folder / "in"), "target": str(target), "rate": 1}
        result = await session.call("archive__pack", arguments, on_progress=lambda *step: steps.append(step))
        again = await session.call("archive__pack", arguments)
    expect_equal(result.structured, {"files": 1, "bytes": 300_000, "skipped": []})
    assert target.stat().st_size > 300_000, "noise became smaller"
    assert steps and all(total == 300_000 for _, total, _ in steps), f"{steps}"
    assert again.is_error and "exists" in again.text, f"{again}"


@check("examples", "archive: a job that is cancelled leaves nothing behind")
async def archive_cancelled(client, door):
    folder = folder_of(1_000_000)
    async with offering(client, door) as session:
        arguments = {"folder": str(folder / "in"), "target": str(folder / "out.tar.gz"), "rate": 0.01}

        async def started():
            await until("the archive is begun", lambda: len(os.listdir(folder)) > 1)

        answered = await session.abandon("archive__pack", arguments, started)
        assert not answered, "the cancelled call was answered"
        await until("the archive is removed", lambda: os.listdir(folder) == ["in"])


@check("examples", "expenses: the user fills in a form and confirms it before anything is filed")
async def expenses(client, door):
    if not shutil.which("node"):
        raise Skip("node is not installed, so the plugin is not served")
    asked = []
    form = {"amount": 12.5, "category": "meals", "date": "2026-11-20"}

    def user(agree):
        def answer(message, schema):
            asked.append(message)
            return "accept", form if "amount" in schema["properties"] else {"agree": agree}

        return answer

    async with offering(client, door, elicit=user(False)) as session:
        result = await session.call("expenses__claim", {"reason": "-lunch"})
        assert result.is_error and "not confirmed" in result.text, f"{result}"
        before = json.loads(expect_text(await session.call("expenses__total", {})))
    expect_equal(asked, ["Expense claim: -lunch", "File 12.50 EUR for meals on 2026-11-20?"])
    async with offering(client, door, elicit=user(True)) as session:
        result = await session.call("expenses__claim", {"reason": "-lunch"})
        expect_equal(result.structured, {"date": "2026-11-20", "category": "meals", "amount": 12.5, "reason": "-lunch"})
        after = json.loads(expect_text(await session.call("expenses__total", {})))
    # Filed once, whichever way the client is asked.
    expect_equal(after["meals"] - before.get("meals", 0), 12.5)


@check("examples", "wiki: pages are written, suggested, read and watched, and nothing outside is")
async def wiki(client, door):
    text = "  # Start\n\nwritten by a client\n"
    async with offering(client, door) as session:
        section = f"s{os.getpid()}"
        page = {"section": section, "page": "start"}
        uri = PAGE.format(**page)
        async with session.watching(["wiki://index"]) as told:
            await session.call("wiki__write", page | {"text": "first"})
            await until("the index has changed", lambda: told == ["wiki://index"])
        async with session.watching([uri]) as told:
            expect_equal(expect_text(await session.call("wiki__write", page | {"text": text})), f"wrote {uri}")
            await until("the page has changed", lambda: told == [uri])
        [read] = await session.read(uri)
        expect_equal(read["text"], text)
        [index] = await session.read("wiki://index")
        assert uri in index["text"].split(), f"{index}"
        expect_equal((await session.complete("resource", PAGE, "section", section))[0], [section])
        expect_equal((await session.complete("resource", PAGE, "page", "", {"section": section}))[0], ["start"])
        outside = await session.call("wiki__write", page | {"section": "..", "text": "x"})
        expect_failure(outside, "invalid_arguments", "section")
        for name in ("..%2F..%2Fetc", "%2Fetc"):
            await refused(session.read(f"wiki://{name}/passwd"), INVALID_PARAMS)
        await refused(session.read(PAGE.format(section=section, page="none")), not_found(session))


@check("examples", "prompts: a library is listed, completed and filled in")
async def prompts(client, door):
    async with offering(client, door) as session:
        listed = {prompt["name"]: prompt["arguments"] for prompt in await session.prompts()}
        expect_equal(listed["code-review"], ["language", "focus", "change"])
        expect_equal((await session.complete("prompt", "code-review", "language", "R"))[0], ["Rust"])
        [(role, text)] = await session.prompt("code-review", {"language": "Rust", "change": "--- a\n+++ b"})
        assert role == "user" and "written in Rust" in text and text.endswith("--- a\n+++ b"), f"{text!r}"
        roles = [role for role, _ in await session.prompt("release-notes", {"commits": "fix: it"})]
        expect_equal(roles, ["user", "assistant", "user"])
