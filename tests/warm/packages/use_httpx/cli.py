#!/usr/bin/env python3
"""Talks to a made-up transport with httpx, with and without asyncio."""
import asyncio
import sys

import httpx


def answer(request):
    return httpx.Response(201, json={"path": request.url.path, "query": dict(request.url.params)})


async def asynchronously():
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), trust_env=False) as client:
        return (await client.get("https://example.test/b", params={"q": "2"})).json()


def use():
    with httpx.Client(transport=httpx.MockTransport(answer), trust_env=False) as client:
        response = client.post("https://example.test/a?x=1", json={"y": 2})
        print(response.status_code, response.json(), dict(response.headers))
    print(asyncio.run(asynchronously()))
    left_open = httpx.Client(trust_env=False)
    print(left_open.is_closed)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
