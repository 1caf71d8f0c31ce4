# The sub-commands of argparse, and which commands do work of their own although they have some: those that
# the help text lists, as version 3 read it, and those that have a function of their own.


def is_branch(action):
    import argparse

    return isinstance(action, argparse._SubParsersAction)


def children_of(branch, listed):
    """Each sub-parser once, under its first name (the others are aliases), hidden ones left out; but all that are listed."""
    helps = {choice.dest: choice.help for choice in branch._choices_actions}
    first = {}
    for word, child in branch._name_parser_map.items():
        known = first.setdefault(id(child), word)
        text = helps.get(known)
        if word in listed or (known == word and text != "==SUPPRESS=="):
            yield word, child, "" if text == "==SUPPRESS==" else text


def words_before(parser, branch):
    """What a command takes where its sub-command is left out; None where it cannot be.

    Every word that may be missing, or stands behind, would be taken for a sub-command.
    """
    own, is_behind = [], False
    for action in parser._actions:
        is_behind = is_behind or action is branch
        if action.option_strings or action.nargs == 0:
            own.append(action)
        elif action is branch or action.nargs in ("?", "*", "...", "==SUPPRESS=="):
            continue
        elif is_behind:
            return None
        else:
            own.append(action)
    return own


def listed_words(page):
    """The words that version 3 of SMCP took for commands: those that begin a line below its title."""
    words, is_inside = set(), False
    for line in listing_of_commands(page).splitlines():
        line = line.strip()
        if line.lower() == "available commands:":
            is_inside = True
        elif not line or line.startswith("Examples"):
            is_inside = False
        elif is_inside:
            words.add(line.split()[0].rstrip(":,*"))
    return words


def works_alone(parser, branch):
    """Whether a command has a function of its own, as its sub-commands have, that runs where none of them is named.

    What else a program does then cannot be told from its parser. Most show their help, and a tool of that would only
    be in the way.
    """
    own = [parser._defaults[key] for key in sorted(handlers_of(branch) & set(parser._defaults))]
    return any(map(callable, own)) and not any(map(shows_help, own))


def handlers_of(branch):
    """The defaults by which sub-commands name their function, as `set_defaults(func=…)` does."""
    found = set()
    for child in branch._name_parser_map.values():
        found.update(key for key, value in child._defaults.items() if callable(value))
        for inner in filter(is_branch, child._actions):
            found |= handlers_of(inner)
    return found


# What shows how a program is called, and measures nothing.
USAGES = "usage", "print_usage", "format_usage", "show_usage"


def shows_help(function):
    """Whether a function is a parser's own method, or one that shows the help or complains."""
    if hasattr(getattr(function, "__self__", None), "print_help"):
        return True
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return any("help" in name.lower().split("_") or name in USAGES for name in names) or (
        "error" in names and len(names) < 3
    )
