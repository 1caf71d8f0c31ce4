#!/usr/bin/env python3
"""Prepares requests, and is refused by a closed port."""
import sys

import requests
from requests.adapters import HTTPAdapter


def use():
    session = requests.Session()
    session.headers["X-Test"] = "1"
    session.mount("http://", HTTPAdapter(max_retries=1))
    session.trust_env = False
    prepared = session.prepare_request(requests.Request("POST", "http://127.0.0.1:9/x", params={"a": "ä"}, json={"b": 1}))
    print(prepared.url, sorted(prepared.headers.items()), prepared.body)
    try:
        session.send(prepared, timeout=5)
    except requests.ConnectionError as fault:
        print(type(fault).__name__)
    print(requests.utils.default_user_agent(), requests.codes.teapot)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
