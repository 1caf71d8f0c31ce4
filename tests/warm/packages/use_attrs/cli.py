#!/usr/bin/env python3
"""Makes classes with attrs and data with msgpack and toml."""
import sys

import attrs
import msgpack


@attrs.define(frozen=True, order=True)
class Point:
    x: int = attrs.field(converter=int, validator=attrs.validators.ge(0))
    y: int = 0


def use():
    print(Point("3"), sorted([Point(2), Point(1, 5)]), attrs.asdict(Point(1)), hash(Point(1)) == hash(Point(1)))
    print(msgpack.unpackb(msgpack.packb({"a": [1, b"x", None]})))
    Point(-1)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
