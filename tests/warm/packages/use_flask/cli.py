#!/usr/bin/env python3
"""Serves requests to itself with flask."""
import logging
import sys

import flask

application = flask.Flask("use")


@application.route("/<name>")
def page(name):
    return flask.render_template_string("hello {{ name }} {{ request.args.q }}", name=name)


@application.route("/fail")
def fail():
    raise ValueError("in a page")


def use():
    # Without the time, which is another one in each run.
    logging.basicConfig(format="%(levelname)s %(message)s")
    client = application.test_client()
    print(client.get("/ada?q=1").text, client.get("/no/page").status, client.get("/fail").status)


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
