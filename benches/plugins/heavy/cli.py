#!/usr/bin/env python3
"""Imports what many plugins import: requests and pydantic. It asks nobody anything."""

import argparse
import json

import pydantic
import requests

DESCRIPTION = {
    "contract_version": "1.1",
    "commands": [
        {
            "name": "order",
            "description": "Checks an order, and prepares the request that would send it",
            "parameters": [
                {"name": "article", "type": "string", "required": True},
                {"name": "count", "type": "integer", "required": True},
            ],
        }
    ],
}


class Order(pydantic.BaseModel):
    article: str
    count: int


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--describe", action="store_true")
    commands = parser.add_subparsers(dest="command")
    order = commands.add_parser("order")
    order.add_argument("--article", required=True)
    order.add_argument("--count", required=True)
    given = parser.parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
        return
    checked = Order(article=given.article, count=given.count)
    request = requests.Request("POST", "http://localhost/orders", json=checked.model_dump()).prepare()
    print(json.dumps({"order": checked.model_dump(), "bytes": len(request.body)}))


if __name__ == "__main__":
    main()
