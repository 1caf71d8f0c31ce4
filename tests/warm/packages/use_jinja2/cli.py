#!/usr/bin/env python3
"""Renders with jinja2."""
import sys

from jinja2 import DictLoader, Environment, StrictUndefined


def use():
    loader = DictLoader({"base": "<{% block b %}{% endblock %}>", "page": "{% extends 'base' %}{% block b %}{{ words|upper }} {% for n in range(3) %}{{ loop.index }}{% endfor %}{% endblock %}"})
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True)
    print(environment.get_template("page").render(words="<a>"))
    environment.from_string("{{ missing }}").render()


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
