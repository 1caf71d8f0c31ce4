# The sub-commands of argparse, and which commands do work of their own although they have some: those that
# the help text lists, as version 3 read it, and those whose program says what it does without a sub-command.

MAX_SOURCES = 1 << 19  # bytes of all files together that are read: about a second


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


def works_alone(parser, branch, words):
    """Whether a command has work of its own where its sub-command is left out, as far as the program says so.

    Where nothing says so it has none: most programs show their help then, and a tool of that would only be in the way.
    """
    global ast
    handlers = handlers_of(branch)
    for key in sorted(handlers & set(parser._defaults)):
        if callable(parser._defaults[key]):
            return not shows_help(parser._defaults[key])
    names = {branch.dest} - {None, "==SUPPRESS=="}
    if not words:
        names |= handlers  # further down, what is without a handler is the program's own work
    if not names:
        return False
    import ast

    choices = set(branch._name_parser_map)
    return any(SourceReader(names, choices).finds_work(tree) for tree in plugin_sources(names))


def handlers_of(branch):
    """The defaults by which sub-commands name their function, as `set_defaults(func=…)` does."""
    found = set()
    for child in branch._name_parser_map.values():
        found.update(key for key, value in child._defaults.items() if callable(value))
        for inner in filter(is_branch, child._actions):
            found |= handlers_of(inner)
    return found


def shows_help(function):
    """Whether a function is a parser's own method, or one that shows the help or complains."""
    if hasattr(getattr(function, "__self__", None), "print_help"):
        return True
    names = getattr(getattr(function, "__code__", None), "co_names", ())
    return any(map(is_of_help, names)) or ("error" in names and len(names) < 3)


def is_of_help(name):
    return name == "__doc__" or "help" in name.lower() or "usage" in name.lower()


def plugin_sources(names):
    """The syntax trees of the plugin's own files that mention one of the names."""
    paths, left = {getattr(module, "__file__", None) for module in list(sys.modules.values())}, MAX_SOURCES
    for path in sorted(path for path in paths if isinstance(path, str) and is_of_plugin(path)):
        try:
            with open(path, "rb") as file:
                source = file.read(left + 1)
            if any(name.encode("utf-8", "replace") in source for name in names):
                left -= len(source)
                if left < 0:
                    return
                yield ast.parse(source)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # such as a module that is no text


class SourceReader:
    """Looks in a program's text for what it does where the sub-command, known by `names`, is missing."""

    def __init__(self, names, choices):
        self.names, self.choices, self.aliases = names, choices, set()

    def finds_work(self, tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and self.is_word(node.value):
                self.aliases.update(target.id for target in node.targets if isinstance(target, ast.Name))
        for node in ast.walk(tree):
            if isinstance(node, ast.IfExp):
                missing = self.missing(node.test)
                if missing is not None and self.works([ast.Expr(node.body if missing else node.orelse)]):
                    return True
            for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
                for index, line in enumerate(block if isinstance(block, list) else ()):
                    if isinstance(line, ast.If) and self.works(self.block_without(line, block[index + 1:])):
                        return True
        return False

    def is_word(self, node):
        """Whether an expression is the sub-command: `args.command`, `getattr(args, "command", None)`, an alias."""
        if isinstance(node, ast.NamedExpr):
            node = node.value
        if isinstance(node, ast.Attribute):
            return node.attr in self.names and getattr(node.value, "id", "") not in ("self", "cls")
        if isinstance(node, ast.Call) and name_of(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
            return constant(node.args[1]) in self.names
        return isinstance(node, ast.Name) and node.id in self.aliases

    def missing(self, test):
        """True where a test holds without a sub-command, False where it fails then, None where it does not say."""
        if self.is_word(test):
            return False
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            inner = self.missing(test.operand)
            return None if inner is None else not inner
        if isinstance(test, ast.BoolOp):
            return True if any(self.missing(value) for value in test.values) else None
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and self.is_word(test.left):
            if constant(test.comparators[0]) in (None, ""):
                return isinstance(test.ops[0], (ast.Is, ast.Eq))
        return None

    def block_without(self, line, rest):
        """What is done without a sub-command at an `if` that `rest` follows."""
        missing = self.missing(line.test)
        if missing:
            return line.body
        if missing is False:
            leaves = isinstance(line.body[-1], (ast.Return, ast.Raise))
            return line.orelse or (rest if leaves else [])
        words, last = set(), [line]
        while len(last) == 1 and isinstance(last[0], ast.If) and self.compared(last[0].test):
            words |= self.compared(last[0].test)
            last = last[0].orelse
        # An `else` behind all sub-commands is for none.
        return last if self.choices <= words else []

    def compared(self, test):
        """The sub-commands that a test asks for."""
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not self.is_word(test.left):
            return set()
        other = test.comparators[0]
        several = getattr(other, "elts", ()) if isinstance(test.ops[0], ast.In) else ()
        return {constant(word) for word in ([other] if isinstance(test.ops[0], ast.Eq) else several)}

    def works(self, block):
        """Whether lines do something else than show the help, complain, or choose a sub-command."""
        done = False
        for line in block:
            if isinstance(line, ast.If):
                if self.works(line.body) or self.works(line.orelse):
                    return True
            elif isinstance(line, (ast.Expr, ast.Return, ast.Assign)):
                chooses = isinstance(line, ast.Assign) and any(map(self.is_word, line.targets))
                if chooses or complains(line):
                    return False
                done = done or not (line.value is None or isinstance(line.value, (ast.Constant, ast.Name)))
            elif isinstance(line, ast.Raise):
                return False
            else:
                done = done or not isinstance(line, (ast.Pass, ast.Import, ast.ImportFrom))
        return done


def complains(line):
    """Whether a statement shows the help, or ends the program with a status that is not 0."""
    if isinstance(line, ast.Return) and is_failure(line.value):
        return True
    for node in ast.walk(line):
        name = name_of(node)
        if is_of_help(name) or name == "error" or str(constant(node)).lower().startswith("usage"):
            return True
        if isinstance(node, ast.Call) and name_of(node.func) in ("exit", "_exit") and any(map(is_failure, node.args)):
            return True
    return False


def is_failure(node):
    return isinstance(node, ast.Constant) and node.value not in (None, 0, "")


def constant(node):
    """The value that an expression is; for any other, what equals nothing."""
    return node.value if isinstance(node, ast.Constant) else object()


def name_of(node):
    return getattr(node, "id", None) or getattr(node, "attr", None) or ""
