#!/usr/bin/env python3
"""Computes dates with dateutil, which uses six."""
import sys

from dateutil import parser, relativedelta, rrule, tz


def use():
    begin = parser.parse("31 January 2024 10:00")
    print(begin + relativedelta.relativedelta(months=1), list(rrule.rrule(rrule.MONTHLY, count=3, dtstart=begin)))
    print(begin.replace(tzinfo=tz.gettz("America/New_York")).utcoffset(), tz.tzlocal().utcoffset(begin))


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
