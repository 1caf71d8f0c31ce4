#!/usr/bin/env python3
"""A plugin whose description cannot be served, so that the page has a fault to show."""
import json
import sys

if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        wrong = {"name": "count", "description": "Counts.", "parameters": [{"name": "to", "type": "whole"}]}
        print(json.dumps({"contract_version": "1.1", "plugin": {"name": "broken", "version": "1"}, "commands": [wrong]}))
