#!/usr/bin/env python3
"""A library of prompts: every file in `texts` is one. A new file needs no change of this program.

Such a file begins with a line that describes the prompt. Then comes a line for each argument: its name, a colon, what
it is, and after a bar the values that are suggested. A name with a question mark may be left out. After a line `---`
comes the text, with the arguments in braces; a line `--- assistant` or `--- user` begins another message.
"""
import json
import re
import sys
from pathlib import Path

# The server starts a plugin in its own working directory, so files beside the program are found by its path.
TEXTS = Path(__file__).resolve().parent / "texts"


class Prompt:
    def __init__(self, file):
        head, *parts = re.split(r"^---(.*)\n", file.read_text(), flags=re.MULTILINE)
        self.name = file.stem
        self.description, *lines = head.strip().split("\n")
        self.arguments, self.suggestions = [], {}
        for line in lines:
            name, meaning, values = re.fullmatch(r"(\w+\??): ([^|]*)\|?(.*)", line).groups()
            argument = {"name": name.strip("?"), "description": meaning.strip(), "required": not name.endswith("?")}
            self.arguments.append(argument)
            self.suggestions[argument["name"]] = [value.strip() for value in values.split(",") if value.strip()]
        self.messages = [(role.strip() or "user", text.strip("\n")) for role, text in zip(parts[::2], parts[1::2])]

    def offer(self):
        return {
            "name": self.name,
            "description": self.description,
            "arguments": self.arguments,
            "command": f"show-{self.name}",
        }

    def commands(self):
        """What serves the prompt and its completions. The name of the prompt is a word of the command line."""
        options = [{"name": argument["name"], "required": argument["required"]} for argument in self.arguments]
        yield {"name": f"show-{self.name}", "invoke": ["show", self.name], "tool": False, "parameters": options}
        typed = [{"name": "argument"}, {"name": "value"}]
        yield {"name": f"complete-{self.name}", "invoke": ["complete", self.name], "tool": False, "parameters": typed}

    def completions(self):
        for name, values in self.suggestions.items():
            if values:
                reference = {"type": "ref/prompt", "name": self.name}
                yield {"ref": reference, "argument": name, "command": f"complete-{self.name}"}

    def filled_in(self, given):
        def value(found):
            return given.get(found[1], "whatever fits best")

        return [
            {"role": role, "content": {"type": "text", "text": re.sub(r"\{(\w+)\}", value, text)}}
            for role, text in self.messages
        ]


def describe():
    prompts = [Prompt(file) for file in sorted(TEXTS.glob("*.txt"))]
    return {
        "contract_version": "1.1",
        "plugin": {"name": "prompts", "version": "1.0.0", "description": "A library of prompts"},
        "commands": [command for prompt in prompts for command in prompt.commands()],
        "prompts": [prompt.offer() for prompt in prompts],
        "completions": [completion for prompt in prompts for completion in prompt.completions()],
    }


def options(words):
    """`--name value` and `--name=value` as a dictionary."""
    found, words = {}, iter(words)
    for word in words:
        name, joined, value = word[2:].partition("=")
        found[name] = value if joined else next(words)
    return found


if sys.argv[1:] == ["--describe"]:
    print(json.dumps(describe()))
    sys.exit()
command, name, *words = sys.argv[1:]
prompt, given = Prompt(TEXTS / f"{name}.txt"), options(words)
if command == "show":
    print(json.dumps({"messages": prompt.filled_in(given), "description": prompt.description}))
else:
    print("\n".join(value for value in prompt.suggestions[given["argument"]] if value.startswith(given["value"])))
