"""Owns the check of what `smcp client` prints for a client: it is run as it stands; knows no client."""

import asyncio
import os

from checks import TOOLS, check
from report import Skip


async def output(*command: str, **settings) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        **settings,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, f"{command[0]} ended with {process.returncode}: {err.decode(errors='replace')[-500:]}"
    return out.decode()


@check("printed", "what `smcp client` prints for it lists the tools")
async def runs(client, door):
    """`client.printed` is its name there, and `client.runs_printed(text)` the command and settings that run the text."""
    if not hasattr(client, "printed"):
        raise Skip("`smcp client` prints nothing that could be run with this client alone")
    if door.kind == "sse":
        raise Skip("`smcp client` prints the other transports for it")
    if door.kind == "stdio":
        program, _, *plugins = door.command
        args = ["--stdio", *plugins]
    else:
        program, args = os.environ["SMCP_PROGRAM"], ["--url", door.keyed().url]
    text = await output(program, "client", client.printed, *args)
    command, settings = client.runs_printed(text)
    env = {**os.environ, "MCP_API_KEY": door.key} | settings.pop("env", {})
    assert not door.key or door.key not in text, "the key itself is printed"
    listed = await output(*command, env=env, **settings)
    missing = [name for name in TOOLS if name not in listed]
    assert not missing, f"{missing} not in {listed:.300}"
