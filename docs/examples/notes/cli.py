#!/usr/bin/env python3
"""Keeps short notes in a JSON file."""
import argparse
import base64
import json
import os
import sys
from pathlib import Path

STORE = Path(os.environ.get("NOTES_FILE", "notes.json"))
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))  # by hand: events are shown on stderr

NOTE = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "minLength": 1, "description": "one line"},
        "text": {"type": "string", "description": "what is noted, as long as it likes"},
        "tags": {"type": "array", "items": {"type": "string"}, "description": "words to find it by"},
    },
    "required": ["title"],
}

ID = {"name": "id", "type": "integer", "required": True, "description": "the number that adding it has given"}

COMMANDS = [
    {
        "name": "add",
        "title": "Add a note",
        "description": "Keeps a note and says under which number",
        "annotations": {"readOnlyHint": False, "destructiveHint": False},
        "parameters": [
            {
                "name": "title",
                "type": "string",
                "required": True,
                "minLength": 1,
                "maxLength": 80,
                "description": "one line",
            },
            {"name": "text", "type": "string", "env": "NOTE_TEXT", "description": "what is noted"},
            {
                "name": "tags",
                "type": "array",
                "items": {"type": "string"},
                "arg_style": "list",
                "description": "words to find it by",
            },
            {
                "name": "priority",
                "type": "integer",
                "minimum": 1,
                "maximum": 5,
                "default": 3,
                "description": "1 is the most urgent",
            },
            {"name": "pinned", "type": "boolean", "action": "store_true", "description": "marks it as one to keep in sight"},
        ],
        "output": "json",
        "output_schema": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    },
    {
        "name": "search",
        "description": "Finds notes by words, by tag or by priority",
        "annotations": {"readOnlyHint": True},
        "parameters": [
            {
                "name": "words",
                "type": "array",
                "items": {"type": "string"},
                "arg_style": "positional",
                "description": "each of them stands in the note",
            },
            {"name": "tag", "type": "string", "description": "one of its tags"},
            {"name": "priority", "type": "integer", "enum": [1, 2, 3, 4, 5], "description": "1 is the most urgent"},
            {"name": "limit", "type": "integer", "flag": "-n", "default": 10, "description": "notes at most"},
            {
                "name": "case",
                "type": "boolean",
                "flag": "--case",
                "negative_flag": "--no-case",
                "description": "whether capitals count",
            },
        ],
        "one_of": [{"names": ["tag", "priority"], "required": False}],
        "output": "json",
    },
    {
        "name": "import",
        "description": "Keeps many notes at once",
        "input_schema": {
            "type": "object",
            "properties": {
                "notes": {"type": "array", "items": {"$ref": "#/$defs/note"}, "description": "in this order"},
            },
            "required": ["notes"],
            "$defs": {"note": NOTE},
        },
        "input": "stdin",
        "timeout": 60,
        "max_concurrency": 1,
    },
    {
        "name": "delete",
        "description": "Deletes a note once the user agrees",
        "annotations": {"destructiveHint": True},
        "parameters": [ID],
        "requires": ["elicitation"],
    },
    {
        "name": "card",
        "tool": "note_card",
        "description": "Shows a note as a picture",
        "icons": [{"src": "https://example.com/card.svg", "mimeType": "image/svg+xml"}],
        "parameters": [ID],
        "output": "content",
    },
    {
        "name": "read",
        "tool": False,
        "parameters": [ID],
    },
]

DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "notes", "version": "1.0.0", "description": __doc__},
    "commands": COMMANDS,
    "resources": [
        {
            "uri": "notes://all",
            "name": "all",
            "description": "Every note",
            "mimeType": "application/json",
            "command": "list",
        }
    ],
    "resource_templates": [
        {"uriTemplate": "notes://{id}", "name": "note", "description": "One note", "command": "read"}
    ],
    "prompts": [
        {
            "name": "review",
            "description": "Goes through the notes of one tag",
            "arguments": [{"name": "tag", "required": True}],
            "command": "review",
        }
    ],
    "completions": [{"ref": {"type": "ref/prompt", "name": "review"}, "argument": "tag", "command": "complete"}],
}


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def ask(**questions):
    tell(ask=questions)
    with open(EVENTS, closefd=False) as events:
        return json.loads(events.readline())


def load():
    return json.loads(STORE.read_text()) if STORE.exists() else []


def save(notes):
    STORE.write_text(json.dumps(notes))
    tell(updated="notes://all")


def find(number):
    notes = load()
    if not 0 < number <= len(notes) or notes[number - 1] is None:
        print(json.dumps({"error": f"no note {number}", "code": "not_found"}))
        sys.exit(1)
    return notes[number - 1]


def add(given):
    note = {
        "title": given.title,
        "text": os.environ.get("NOTE_TEXT", ""),
        "tags": given.tags,
        "priority": given.priority,
        "pinned": given.pinned,
    }
    notes = load() + [note]
    save(notes)
    print(json.dumps({"id": len(notes)}))


def search(given):
    def fold(text):
        return text if given.case else text.lower()

    def fits(note):
        text = fold(note["title"] + " " + note.get("text", ""))
        return (
            all(fold(word) in text for word in given.words)
            and given.tag in [None, *note.get("tags", [])]
            and given.priority in [None, note.get("priority")]
        )

    print(json.dumps([note for note in load() if note and fits(note)][: given.limit]))


def import_(_):
    notes, new = load(), json.load(sys.stdin)["notes"]
    for done, note in enumerate(new, start=1):
        notes.append(note)
        tell(progress=done, total=len(new), message=note["title"])
    save(notes)
    print(f"{len(new)} notes kept")


def delete(given):
    note = find(given.id)
    agree = {"type": "object", "properties": {"agree": {"type": "boolean"}}, "required": ["agree"]}
    question = {"elicit": {"message": f"Delete '{note['title']}'?", "requestedSchema": agree}}
    answer = ask(delete=question)
    if not answer.get("delete", {}).get("content", {}).get("agree"):
        sys.exit("not deleted")
    notes = load()
    notes[given.id - 1] = None
    save(notes)
    print("deleted")


def card(given):
    title = find(given.id)["title"].replace("&", "&amp;").replace("<", "&lt;")
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" width="200" height="40"><text x="9" y="25">{title}</text></svg>'
    picture = base64.b64encode(drawing.encode()).decode()
    print(json.dumps({"content": [{"type": "image", "data": picture, "mimeType": "image/svg+xml"}]}))


def list_(_):
    print(json.dumps([note for note in load() if note]))


def read(given):
    note = find(given.id)
    print(note["title"], note.get("text", ""), sep="\n\n")


def review(given):
    notes = [note for note in load() if note and given.tag in note.get("tags", [])]
    text = f"Say which of these notes are done with: {json.dumps(notes)}"
    print(json.dumps({"messages": [{"role": "user", "content": {"type": "text", "text": text}}]}))


def complete(given):
    tags = {tag for note in load() if note for tag in note.get("tags", [])}
    print("\n".join(sorted(tag for tag in tags if tag.startswith(given.value))))


def parser():
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument("--describe", action="store_true")
    commands = program.add_subparsers(dest="command")

    def command(name, run):
        its = commands.add_parser(name)
        its.set_defaults(run=run)
        return its

    adding = command("add", add)
    adding.add_argument("--title", required=True)
    adding.add_argument("--tags", nargs="*", default=[])
    adding.add_argument("--priority", type=int, default=3)
    adding.add_argument("--pinned", action="store_true")
    searching = command("search", search)
    searching.add_argument("words", nargs="*")
    searching.add_argument("--tag")
    searching.add_argument("--priority", type=int)
    searching.add_argument("-n", dest="limit", type=int, default=10)
    searching.add_argument("--case", action="store_true")
    searching.add_argument("--no-case", dest="case", action="store_false")
    for name, run in [("delete", delete), ("card", card), ("read", read)]:
        command(name, run).add_argument("--id", type=int, required=True)
    command("import", import_)
    command("list", list_).add_argument("--uri")
    command("review", review).add_argument("--tag", required=True)
    completing = command("complete", complete)
    for option in ("--argument", "--value", "--context"):
        completing.add_argument(option)
    return program


if __name__ == "__main__":
    given = parser().parse_args()
    if given.describe:
        print(json.dumps(DESCRIPTION))
    else:
        given.run(given)
