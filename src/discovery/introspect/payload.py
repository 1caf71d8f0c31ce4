# What both readers share: names, plain values, texts, and the shape of the answer.

MANY_CHOICES = 256
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Skip(Exception):
    """One command that cannot be served, with its reason."""


def plain(value, depth=0):
    """The value as JSON carries it; None where it cannot, or where it must not leave the machine."""
    import enum
    import math

    if depth > 8 or value is None:
        return None
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, (bool, int)):
        return value if isinstance(value, bool) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return None if from_environment(value) else clean(str(value))
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(item, depth + 1) for item in value]
        if any(item is None for item in items):
            return None
        return sorted(items, key=repr) if isinstance(value, (set, frozenset)) else items
    return None


def from_environment(text):
    """A default that this machine gave, and not the program: it may be a secret, and it is not the same elsewhere.

    That is the value of an environment variable that was read, or a path below the home, the working, the
    plugin's or the interpreter's directory.
    """
    return len(text) > 3 and (text in values_read or text.startswith(local_places))


def plain_default(value, parameter):
    """A default as JSON; one of the declared choices tells nothing that they do not."""
    if isinstance(value, str) and value in parameter.get("enum", ()):
        return value
    return plain(value)


def clean(text):
    """Only what UTF-8 can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def prose(text):
    """A help text as a description: no indentation of its source, no trailing space."""
    lines = clean(str(text)).split("\f")[0].replace("\b\n", "").replace("\b", "").expandtabs().splitlines()
    margins = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    margin = min(margins) if margins else 0
    return "\n".join([line.lstrip() for line in lines[:1]] + [line[margin:] for line in lines[1:]]).strip()


def sentences(*parts):
    """Parts of a description, joined by a space, each ending like a sentence where another follows."""
    parts = [part.strip() for part in parts if part and part.strip()]
    return " ".join(
        part if index == len(parts) - 1 or part[-1] in ".!?:;" else part + "."
        for index, part in enumerate(parts)
    )


def property_name(text):
    """An option's name as a property: `--dry-run` is `dry_run`."""
    name = "".join(letter if letter in LETTERS else "_" for letter in text.lstrip("-+/"))
    return name.replace("-", "_").strip("_")


def command_name(words):
    """`db migrate` is `db-migrate`; a program without sub-commands is named by its plugin."""
    text = "-".join(words) if words else plugin_name
    return "".join(letter if letter in LETTERS else "-" for letter in text).strip("-")


class Answer:
    """The payload as it grows: commands in the program's order, no name twice."""

    def __init__(self):
        self.commands = []
        self.names = set()
        self.warnings = []
        self.lost_words = []

    def add(self, words, description, parameters, groups):
        name = command_name(words)
        if name in self.names:
            name = "_".join(command_name([word]) for word in words)
        if not name or name in self.names:
            self.warn(words, "its name is taken by another command")
            return
        self.names.add(name)
        command = {"name": name, "invoke": list(words), "description": description}
        command["parameters"], renamed = named(parameters)
        if self.lost_words:
            command["refuse_words"] = self.lost_words
        groups = [one_of(group, required, renamed) for group, required in groups]
        groups = [group for group in groups if group]
        if groups:
            command["one_of"] = groups
        self.commands.append(command)

    def warn(self, words, reason):
        self.warnings.append("%s is left out: %s" % (" ".join(words) or plugin_name, reason))

    def text(self, description, page):
        """As JSON; `page` gives the parser's help text."""
        import json

        if not self.commands:
            give_up(NOT_ASKED, "; ".join(self.warnings) or "its parser has no commands")
        payload = {
            "contract_version": "1.1",
            "plugin": {"name": plugin_name, "description": description},
            "commands": self.commands,
            "warnings": self.warnings,
        }
        if len(self.commands) == 1 and not self.commands[0]["invoke"]:
            # The parser takes a command's name as any other word; the text alone tells the names.
            listing = listing_of_commands(page)
            if listing:
                payload["help_text"] = listing
        return json.dumps(payload, ensure_ascii=False, allow_nan=False)


def listing_of_commands(page):
    """A help text that lists commands below the title that version 3 of SMCP read; nothing for any other."""
    try:
        text = clean(page())
    except (Exception, SystemExit):
        return ""  # a text that cannot be shown lists nothing either
    return text if any(line.strip().lower() == "available commands:" for line in text.splitlines()) else ""


def named(parameters):
    """The parameters with one name each, and what became of each source (an action, a param).

    An inner option hides an outer one of the same destination, as on the command line.
    """
    taken, chosen, renamed = {}, [], {}
    for parameter in sorted(parameters, key=lambda p: -p["level"]):
        name, twin = parameter["name"], taken.get(parameter["name"])
        outer = twin is not None and twin["level"] > parameter["level"]
        if outer and twin["_dest"] == parameter["_dest"] and not parameter.get("required"):
            continue
        if twin is not None:
            stem = ("global_" + name) if outer else (name + "_option")
            name, count = stem, 2
            while name in taken:
                name, count = "%s_%d" % (stem, count), count + 1
        parameter["name"] = name
        taken[name] = parameter
        chosen.append(parameter)
        renamed.setdefault(parameter["_source"], []).append(parameter)
    kept = set(map(id, chosen))
    ordered = [parameter for parameter in parameters if id(parameter) in kept]
    ordered.sort(key=lambda p: "flag" in p)
    public = [{k: v for k, v in p.items() if k[0] != "_" and v not in (None, "")} for p in ordered]
    for parameter, source in zip(public, ordered):
        if source.get("separator") == "":
            parameter["separator"] = ""
    by_name = {parameter["name"]: parameter for parameter in public}
    return public, {source: [by_name[p["name"]] for p in own] for source, own in renamed.items()}


def one_of(sources, required, renamed):
    """A group whose members exclude each other; one member alone is simply required."""
    members = [parameter for source in sources for parameter in renamed.get(source, [])]
    if len(members) == 1 and required:
        members[0]["required"] = True
        if members[0]["type"] == "array":
            members[0].setdefault("minItems", 1)
    if len(members) < 2:
        return None
    return {"names": [parameter["name"] for parameter in members], "required": bool(required)}


def kind_of_callable(convert, name):
    """The type behind a converter that is a function, where its name says it and a trial bears it out."""

    def gives(text):
        return tried(convert, text)

    words = name.lower().replace("2", "_").split("_")
    joined = "_".join(words)
    if "bool" in joined and gives("true") is True and gives("false") is False:
        return "boolean"
    if "or" in words:
        return "string"
    if set(words) & {"int", "integer", "uint"} and any(type(gives(t)) is int for t in ("1", "10", "100")):
        return "integer"
    if set(words) & {"float", "number"} and any(type(gives(t)) is float for t in ("1", "0.5", "10")):
        return "number"
    return "string"


seconds_for_trials = [1.0]


def tried(convert, text):
    """What a converter of the program makes of a text; None where it fails, ends the program, or takes its time."""
    import _thread
    import time

    if seconds_for_trials[0] <= 0:
        return None
    found, done = [], _thread.allocate_lock()
    done.acquire()

    def trial():
        try:
            found.append(convert(text))
        except BaseException:
            pass  # such as `parser.error`, which exits
        finally:
            done.release()

    begun = time.monotonic()
    _thread.start_new_thread(trial, ())
    done.acquire(timeout=seconds_for_trials[0])
    seconds_for_trials[0] -= time.monotonic() - begun
    return found[0] if found else None


def positionals_in_order(positionals):
    """Settles what words in a row can say: which of the positionals can be given at all.

    The first that takes any number takes all: after it, only required ones get their words.
    """
    kept, greedy = [], False
    for parameter in positionals:
        if greedy and not parameter["required"]:
            continue
        if greedy and parameter.get("_unbounded"):
            single(parameter)
        greedy = greedy or bool(parameter.get("_unbounded"))
        kept.append(parameter)
    for index, parameter in enumerate(kept):
        later = kept[index + 1:]
        if any(p["required"] and p.get("_unbounded") for p in later) and not parameter.get("_unbounded"):
            parameter["required"] = True
    return kept


def single(parameter):
    """Turns an array into its one item, where only one can be told from what follows."""
    items = parameter.pop("items", {"type": "string"})
    for keyword in ("minItems", "maxItems", "dashes", "_unbounded", "default"):
        parameter.pop(keyword, None)
    parameter.update(items)
