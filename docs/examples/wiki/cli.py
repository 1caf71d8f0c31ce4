#!/usr/bin/env python3
"""A wiki in a folder: its pages are resources, which clients can browse, complete and subscribe to."""
import argparse
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ.get("WIKI_DIR", "wiki"))
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))  # by hand: events are shown on stderr
PAGE = "wiki://{section}/{page}"
# A section and a page have plain names: no dot and no slash, so that no name leads out of the folder.
NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"

DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "wiki", "version": "1.0.0", "description": __doc__},
    "commands": [
        {
            "name": "write",
            "title": "Write a page",
            "description": "Writes a page of the wiki: a new one, or a new text of one that is there",
            "annotations": {"idempotentHint": True},
            "input_schema": {
                "type": "object",
                "properties": {
                    "section": {"type": "string", "pattern": NAME, "description": "where the page belongs"},
                    "page": {"type": "string", "pattern": NAME, "description": "the name of the page"},
                    "text": {"type": "string", "description": "the whole page, as Markdown"},
                },
                "required": ["section", "page", "text"],
                "additionalProperties": False,
            },
            "input": "stdin",
        },
        {
            "name": "read",
            "tool": False,
            "parameters": [
                {"name": "section", "type": "string", "required": True, "pattern": NAME},
                {"name": "page", "type": "string", "required": True, "pattern": NAME},
            ],
        },
    ],
    "resources": [
        {
            "uri": "wiki://index",
            "name": "index",
            "description": "The URIs of all pages, one a line",
            "mimeType": "text/uri-list",
            "command": "index",
        }
    ],
    "resource_templates": [
        {
            "uriTemplate": PAGE,
            "name": "page",
            "description": "One page",
            "mimeType": "text/markdown",
            "command": "read",
            # Whatever a page looks like, it is the content, and no result of the protocol.
            "output": "text",
        }
    ],
    "completions": [{"ref": {"type": "ref/resource", "uri": PAGE}, "command": "complete"}],
}


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def pages():
    """Section and page of every page that there is."""
    return sorted((file.parent.name, file.stem) for file in ROOT.glob("*/*.md"))


def file_of(section, page):
    """The file of a page. The schema keeps other names out; a link could still lead elsewhere."""
    file = (ROOT / section / f"{page}.md").resolve()
    if not (re.search(NAME, section) and re.search(NAME, page) and file.is_relative_to(ROOT.resolve())):
        sys.exit(f"'{section}/{page}' is outside the wiki")
    return file


def write(_):
    given = json.load(sys.stdin)
    file = file_of(given["section"], given["page"])
    is_new = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(given["text"])
    uri = PAGE.format(**given)
    tell(updated=uri)
    if is_new:
        tell(updated="wiki://index")
    print(f"wrote {uri}")


def read(given):
    file = file_of(given.section, given.page)
    if not file.exists():
        reason = f"there is no page '{given.page}' in the section '{given.section}'"
        print(json.dumps({"code": "not_found", "error": reason}))
        sys.exit(1)
    sys.stdout.write(file.read_text())


def index(_):
    for section, page in pages():
        print(PAGE.format(section=section, page=page))


def complete(given):
    """Sections for `section`; for `page` the pages of the section that is already filled in, or of all."""
    filled_in = json.loads(given.context or "{}").get("arguments", {})
    names = {
        section if given.argument == "section" else page
        for section, page in pages()
        if given.argument == "section" or filled_in.get("section") in [None, section]
    }
    print("\n".join(sorted(name for name in names if name.startswith(given.value))))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--describe", action="store_true")
commands = parser.add_subparsers()
for run, options in [
    (write, []),
    (read, ["section", "page"]),
    (index, ["uri"]),
    (complete, ["argument", "value", "context"]),
]:
    command = commands.add_parser(run.__name__)
    command.set_defaults(run=run)
    for option in options:
        command.add_argument(f"--{option}")
given = parser.parse_args()
if given.describe:
    print(json.dumps(DESCRIPTION))
else:
    given.run(given)
