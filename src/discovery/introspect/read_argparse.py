# An argparse parser as commands and parameters. Asks the parser's own tables, parses nothing.


def read_argparse(parser, firsts=()):
    """`firsts` are the parsers that take their own options before and leave the rest to this one."""
    answer = Answer()
    answer.lost_words = [] if keeps_two_dashes() else ["--"]
    if "-" in parser._option_string_actions:
        answer.lost_words.append("-")
    description = parser_text(parser, parser.description) or prose(program_docstring())
    outer = [(first, action, 0) for first in firsts for action in left_to(first, parser)]
    listed = listed_words(parser.format_help) if any(map(is_branch, parser._actions)) else set()
    fromfile = "".join(f.fromfile_prefix_chars or "" for f in firsts)
    walk_parser(answer, parser, [], outer, description, fromfile, listed)
    return answer.text(description, parser.format_help)


def left_to(first, parser):
    """The actions of a first parser, but for those that the next one has as well."""
    known = set(parser._option_string_actions)
    destinations = {action.dest for action in parser._actions}
    for action in first._actions:
        twin = known & set(action.option_strings) if action.option_strings else action.dest in destinations
        if not twin and not is_branch(action):
            yield action


def keeps_two_dashes():
    """Whether this Python's argparse leaves a value `--` as it is: before 3.13.1 it dropped it."""
    import argparse

    trial = argparse.ArgumentParser(add_help=False)
    for name in ("--option", "first", "second"):
        trial.add_argument(name)
    try:
        found = vars(trial.parse_args(["--option=--", "--", "a", "--"]))
    except (SystemExit, Exception):
        return False
    return found == {"option": "--", "first": "a", "second": "--"}


def program_docstring():
    return getattr(sys.modules.get("__main__"), "__doc__", None) or ""


def parser_text(parser, text):
    """A description as the help would show it; the program is named by its plugin."""
    if not text or text == "==SUPPRESS==":
        return ""
    text = str(text)
    try:
        text = text % {"prog": shown_program(parser)} if "%(prog)" in text else text
    except (KeyError, TypeError, ValueError):
        pass
    return prose(text)


def shown_program(parser):
    script = os.path.basename(sys.argv[0])
    prog = str(parser.prog or "")
    return plugin_name + prog[len(script):] if prog.startswith(script) else prog


def walk_parser(answer, parser, words, outer, description, fromfile, listed):
    """Follows sub-parsers down; `outer` are the (parser, action, level) that stand before.

    `listed` are the first words that the program's help text names: version 3 served those.
    """
    fromfile += parser.fromfile_prefix_chars or ""
    branch = next(filter(is_branch, parser._actions), None)
    own = [(parser, action, len(words)) for action in parser._actions if not is_branch(action)]
    if branch is None:
        return add_leaf(answer, words, outer + own, description, fromfile)
    for word, child, text in children_of(branch, listed if not words else ()):
        text = parser_text(child, child.description) or parser_text(parser, text)
        walk_parser(answer, child, words + [word], outer + own, text, fromfile, listed)
    # After its sub-commands: where one of them has its name, that one keeps it.
    is_listed = len(words) == 1 and words[0] in listed
    if not branch.required and (is_listed or works_alone(parser, branch)):
        own = words_before(parser, branch)
        if own is not None:
            add_leaf(answer, words, outer + [(parser, action, len(words)) for action in own], description, fromfile)


def add_leaf(answer, words, entries, description, fromfile):
    try:
        add_command_of(answer, words, entries, description, fromfile)
    except Skip as reason:
        answer.warn(words, str(reason))


def add_command_of(answer, words, entries, description, fromfile):
    last = len(words)
    options, positionals = [], []
    for parser, action, level in entries:
        for parameter in parameters_of(parser, action, level == last):
            parameter.update(level=level, _source=id(action), _dest=action.dest)
            (positionals if not action.option_strings else options).append(parameter)
    # Before a sub-command's name, an option that takes all words behind it would take that name too.
    options = [p for p in options if p["arg_style"] != "rest" or p["level"] == last]
    positionals = positionals_in_order(positionals)
    rest = next((p for p in positionals if p["level"] == last), {}).get("arg_style") == "rest"
    for parameter in options:
        if parameter.get("_unbounded") and (parameter["level"] < last or rest):
            # Nothing but another option would end the list, so the next word would be lost to it.
            single(parameter)
            parameter["arg_style"] = "value"
    for parameter in options + positionals:
        keep_files_closed(parameter, fromfile)
    parsers = {id(parser): parser for parser, _, _ in entries}.values()
    groups = [
        ([id(action) for action in group._group_actions], group.required)
        for parser in parsers
        for group in parser._mutually_exclusive_groups
    ]
    answer.add(words, description, options + positionals, groups)


def keep_files_closed(parameter, prefixes):
    """With `fromfile_prefix_chars`, `@path` as a word of its own would be replaced by that file's lines."""
    if not prefixes:
        return
    letters = "".join("\\" + letter if letter in "\\]^-" else letter for letter in prefixes)
    allowed = "^([^%s]|$)" % letters
    if parameter["arg_style"] in ("value", "repeat") and parameter.get("items", {}).get("type") != "array":
        return  # one word with its option: `--name=@path`
    target = parameter
    while target.get("type") == "array":
        target = target.setdefault("items", {"type": "string"})
    if target.get("type") == "string":
        target["pattern"] = allowed


def parameters_of(parser, action, innermost):
    """What one action gives: mostly one parameter, none for help and version."""
    if is_left_out(action):
        return []
    if action.option_strings:
        # `--` is no option of anybody's, whatever a program declares.
        flags = [f for f in action.option_strings if parser._option_string_actions.get(f) is action and f != "--"]
        return option_of(parser, action, flags) if flags else []
    return positional_of(parser, action, innermost)


def is_left_out(action):
    import argparse

    if isinstance(action, (argparse._HelpAction, argparse._VersionAction)):
        return True
    if "--help" in action.option_strings or list(action.option_strings) == ["-"]:
        return True  # the second means standard input, which is empty
    return action.help == argparse.SUPPRESS and not action.required


def option_of(parser, action, flags):
    flag = telling_flag(flags, action.dest)
    short_only = len(flag) == 2
    stem = property_name(action.dest if short_only and len(action.dest) > 1 else flag)
    parameter = {"name": stem or property_name(action.dest), "flag": flag, "required": bool(action.required)}
    style = style_of(action)
    build = {"flag": as_flag, "count": as_count, "value": as_value, "list": as_list, "rest": as_rest, "repeat": as_repeat}[style]
    build(parser, action, parameter)
    if parameter["arg_style"] in ("value", "repeat", "list"):
        parameter["separator"] = "="
    parameter["description"] = help_of(parser, action)
    if not parameter["required"] and "default" not in parameter:
        parameter["default"] = default_of(parser, action, parameter)
    found = [parameter]
    if action.nargs == "?" and style == "value" and not is_plain_value(action.const):
        found.append(bare_form(parameter, action))
    return found


def telling_flag(flags, dest):
    """Of several spellings the one that names the option best: as its destination, else the first that is a word."""
    long = [flag for flag in flags if len(flag) > 2 and flag[0] == flag[1]]
    named_so = [flag for flag in long if property_name(flag) == dest]
    words = [flag for flag in long if len(flag) > 5]
    return (named_so or words or long or flags)[0]


def style_of(action):
    import argparse

    name = type(action).__name__
    if isinstance(action, argparse._CountAction):
        return "count"
    if action.nargs == 0 or name == "BooleanOptionalAction":
        return "flag"
    if action.nargs == argparse.REMAINDER:
        return "rest"
    many = action.nargs in ("*", "+") or (isinstance(action.nargs, int) and action.nargs > 1)
    extends = isinstance(action, getattr(argparse, "_ExtendAction", ())) or name == "ExtendAction"
    if isinstance(action, argparse._AppendAction) and not (extends and not many):
        return "repeat"
    return "list" if many else "value"


def as_flag(parser, action, parameter):
    parameter.update(type="boolean", arg_style="flag")
    negative = negative_of(action)
    if negative:
        parameter["negative_flag"] = negative
    elif type(action).__name__ in ("_StoreTrueAction", "_StoreFalseAction"):
        parameter["default"] = False
    else:
        parameter["default"] = None


def negative_of(action):
    """`--no-x` where the action also has `--x`: BooleanOptionalAction and what imitates it."""
    flags = action.option_strings
    positive = next((f for f in flags if len(f) > 2 and f[0] == f[1]), "")
    negative = positive[:2] + "no-" + positive[2:]
    return negative if negative in flags else None


def as_count(parser, action, parameter):
    parameter.update(type="integer", minimum=0, arg_style="count")


def as_value(parser, action, parameter):
    parameter.update(item_of(parser, action))
    parameter["arg_style"] = "value"


def as_list(parser, action, parameter):
    parameter.update(array_of(parser, action))
    parameter["arg_style"] = "list"
    if not parser._has_negative_number_optionals:
        parameter["dashes"] = "numbers"


def as_rest(parser, action, parameter):
    """Takes all words behind it, options included, and so stands last."""
    parameter.update(array_of(parser, action))
    parameter["arg_style"] = "rest"


def as_repeat(parser, action, parameter):
    import argparse

    many = action.nargs in ("*", "+") or (isinstance(action.nargs, int) and action.nargs > 1)
    extends = isinstance(action, getattr(argparse, "_ExtendAction", ())) or type(action).__name__ == "ExtendAction"
    parameter.update(type="array", arg_style="repeat")
    if extends and isinstance(action.nargs, int):
        as_list(parser, action, parameter)
    elif many and not extends:
        parameter["items"] = {k: v for k, v in array_of(parser, action).items() if k != "_unbounded"}
        parameter["_unbounded"] = action.nargs in ("*", "+")
        if not parser._has_negative_number_optionals:
            parameter["dashes"] = "numbers"
    else:
        parameter["items"] = item_of(parser, action)
    if parameter["required"]:
        parameter["minItems"] = parameter.get("minItems", 1)


def bare_form(parameter, action):
    """`--color` alone, where what it then means cannot be written as a value."""
    return {
        "name": parameter["name"] + "_alone",
        "type": "boolean",
        "description": "Give %s without a value." % parameter["flag"],
        "required": False,
        "flag": parameter["flag"],
        "arg_style": "flag",
    }


def is_plain_value(const):
    return isinstance(const, (str, int, float)) and not isinstance(const, bool)


def positional_of(parser, action, innermost):
    import argparse

    nargs = action.nargs
    if nargs in (0, argparse.PARSER, argparse.SUPPRESS):
        return []
    parameter = {"name": property_name(action.dest) or "argument", "arg_style": "positional", "required": True}
    if nargs in (None, 1, "?"):
        parameter.update(item_of(parser, action))
        # A word that may be missing, before a sub-command's name, would be taken for it.
        parameter["required"] = nargs != "?" or not innermost
    else:
        parameter.update(array_of(parser, action))
        parameter["required"] = nargs not in ("*", argparse.REMAINDER)
        if not innermost and parameter.get("_unbounded"):
            raise Skip("'%s' takes any number of words before the sub-command's name" % action.dest)
    if nargs == argparse.REMAINDER:
        parameter["arg_style"] = "rest"
    parameter["description"] = help_of(parser, action)
    if not parameter["required"]:
        parameter["default"] = default_of(parser, action, parameter)
    return [parameter]


def array_of(parser, action):
    array = {"type": "array", "items": item_of(parser, action)}
    if isinstance(action.nargs, int):
        array.update(minItems=action.nargs, maxItems=action.nargs)
    else:
        array["_unbounded"] = True
        if action.nargs == "+":
            array["minItems"] = 1
    return array


def raw_type(parser, action):
    return parser._registry_get("type", action.type, action.type)


def item_of(parser, action):
    """Type and choices of one word."""
    convert = raw_type(parser, action)
    kind = kind_of(convert)
    item = {"type": kind}
    if kind == "boolean":
        return item
    if action.choices is not None and not isinstance(action.choices, str):
        item.update(choices_of(action.choices, convert, kind))
    elif isinstance(action.choices, str):
        item["enum"] = sorted(set(action.choices), key=action.choices.index)
    return item


def kind_of(convert):
    import enum

    if convert is None or convert is str:
        return "string"
    if isinstance(convert, type):
        if issubclass(convert, (enum.Enum, bool)):
            return "string"
        if issubclass(convert, int):
            return "integer"
        if issubclass(convert, float) or convert.__name__ == "Decimal":
            return "number"
        return "string"
    if callable(convert):
        return kind_of_callable(convert, getattr(convert, "__name__", type(convert).__name__))
    return "string"


def choices_of(choices, convert, kind):
    if isinstance(choices, range) and kind == "integer" and choices.step == 1 and len(choices) > 1:
        return {"minimum": choices.start, "maximum": choices.stop - 1}
    values = []
    try:
        for value in choices:
            values.append(value)
            if len(values) > MANY_CHOICES:
                return {}
    except Exception:
        return {}  # a container that only answers `in`
    if isinstance(choices, (set, frozenset)):
        values.sort(key=str)
    words = [spelling_of(value, convert, kind) for value in values]
    return {} if not words or any(word is None for word in words) else {"enum": words}


def spelling_of(value, convert, kind):
    """The word that stands for a choice on the command line; None where none can be found."""
    if kind in ("integer", "number"):
        return value if type(value) in (int, float) else None
    if isinstance(value, str) and type(value) is str and (convert is None or convert is str):
        return clean(value)
    for word in (value, getattr(value, "value", None), getattr(value, "name", None), str(value)):
        if isinstance(word, str):
            try:
                if convert is not None and tried(convert, word) == value:
                    return clean(str(word))
            except Exception:
                continue  # a comparison of its own
    return None


def help_of(parser, action):
    """The help text with its %(default)s and the like filled in, as the program's own help has it."""
    import argparse

    text = "" if action.help in (None, argparse.SUPPRESS) else str(action.help)
    values = {key: value for key, value in vars(action).items() if value is not argparse.SUPPRESS}
    values["prog"] = shown_program(parser)
    values = {key: getattr(value, "__name__", value) for key, value in values.items()}
    if action.choices is not None and "%(choices)" in text:
        values["choices"] = ", ".join(str(choice) for choice in action.choices)
    if isinstance(action.default, str) and from_environment(action.default):
        values["default"] = "set by the environment"
    try:
        text = text % values
    except (KeyError, TypeError, ValueError):
        pass
    note = "Any text counts as true, 'false' too; only an empty one is false" if action.type is bool else ""
    return sentences(prose(text), metavar_of(action, bool(text)), note)


def metavar_of(action, has_help):
    """The placeholders, where they say what the help does not: several words in a row, or no help at all."""
    if isinstance(action.metavar, tuple) and isinstance(action.nargs, int):
        return "Words in this order: " + " ".join(map(str, action.metavar))
    return str(action.metavar) if action.metavar and not has_help and isinstance(action.metavar, str) else ""


def default_of(parser, action, parameter):
    default = plain_default(action.default, parameter)
    if action.default == "==SUPPRESS==" or default is None:
        return None
    kind = parameter["type"]
    if isinstance(default, str) and kind in ("integer", "number"):
        default = plain(tried(raw_type(parser, action), default))
    if isinstance(default, list) and kind != "array" and len(default) == 1:
        default = default[0]
    if kind == "array" and not isinstance(default, list):
        return None
    fits = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}[kind]
    if not isinstance(default, fits) or (isinstance(default, bool) and kind != "boolean"):
        return None
    if "enum" in parameter and default not in parameter["enum"]:
        return None
    return default or (None if kind == "array" else default)
