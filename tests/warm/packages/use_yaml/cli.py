#!/usr/bin/env python3
"""Reads and writes with yaml, and with its C library."""
import sys

import yaml


def use():
    text = "a: [1, 2.5, null, 2024-01-02]\nb: &x {c: yes}\nd: *x\n"
    print(yaml.safe_load(text), yaml.safe_dump({"a": [1, {"b": None}]}, sort_keys=False), yaml.__with_libyaml__)
    print(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    yaml.safe_load("a: [1")


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
