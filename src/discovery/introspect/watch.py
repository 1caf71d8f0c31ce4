# Watches the parsers of a program while it is loaded, and answers in the program's place when one is
# asked about our command line. That is `--help`, so that a program which looks at it before its
# parser does takes the way that does no work; the parser's own answer to it is never printed.

WATCHED = (
    "argparse", "click.core", "asyncclick.core", "typer._click.core", "typer.core", "tempfile", "_dbm", "_gdbm",
    "_sqlite3", "_multiprocessing", "shutil", "socket",
)

half_asked = []
values_read = set()
answering = False
asked_module = "click.core"


class HandedOn(str):
    """The `--help` that a first parser left to the next."""


def is_ours(args):
    """Whether a parser is asked about our command line, and not about words of the program's own."""
    if args is None:
        return True
    try:
        return "--help" in list(args)
    except TypeError:
        return True


def answer_with(reader, parser, firsts=()):
    """Describes the parser, or gives its help text where it cannot be described."""
    global answering
    answering = True  # from here on, parsers are only looked at
    try:
        load_reader(reader)
        text = globals()[reader](parser, *([firsts] if firsts else []))
    except BaseException as error:
        reason = "its parser cannot be read: %s: %s" % (type(error).__name__, error)
        try:
            give_up(NOT_ASKED, reason, parser.format_help().encode("utf-8", "replace"))
        except Exception:
            give_up(FAULT, reason)
    finish(SERVED, answer=text.encode("utf-8", "replace"))


def load_reader(name):
    # Compiled only now, and no more of them than are needed: most of the time between the start and the
    # answer would be theirs. The reader of click builds on that of argparse.
    for source in READERS:
        exec(compile(source, "<reader>", "exec"), globals())
        if name in globals():
            return


def watch_argparse(module):
    parser_class = module.ArgumentParser
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        setattr(parser_class, name, asked_partly(getattr(parser_class, name)))
    for name in ("parse_args", "parse_intermixed_args"):
        setattr(parser_class, name, asked(getattr(parser_class, name)))
    for name in ("print_help", "print_usage"):
        setattr(parser_class, name, shown(getattr(parser_class, name)))
    parser_class.smcp_parse_known_args = parser_class.parse_known_args


def asked(original):
    def parse(self, args=None, namespace=None):
        if answering or not is_ours(args):
            return original(self, args, namespace)
        if type(self).parse_known_args is not type(self).smcp_parse_known_args:
            # A class of its own prepares its parser there, and comes back to `asked_partly`.
            try:
                original(self, args, namespace)
            except (Exception, SystemExit):
                pass
        answer_with("read_argparse", self, handed_on(args))

    return parse


def asked_partly(original):
    def parse(self, args=None, namespace=None):
        if answering or not is_ours(args):
            return original(self, args, namespace)
        if inside_parse_args(self):
            answer_with("read_argparse", self, handed_on(args))
        # The first of two parsers looks for its own options (a configuration file's name) and leaves
        # the rest to the next.
        firsts = handed_on(args)
        half_asked.append((self, firsts))
        words = [word for word in (sys.argv[1:] if args is None else args) if word != "--help"]
        with NothingRequired(self):
            namespace, rest = original(self, words, namespace)
        return namespace, [word for word in rest if word != "--help"] + [HandedOn("--help")]

    return parse


def handed_on(args):
    """The parsers that were asked before and left these words."""
    words = sys.argv[1:] if args is None else list(args)
    if any(isinstance(word, HandedOn) for word in words):
        parser, before = half_asked[-1]
        return list(before) + [parser]
    return []


def inside_parse_args(parser):
    """Whether a `parse_args`, the library's or one of the program's own class, asks for all words of this parser."""
    frame, depth = sys._getframe(2), 0
    while frame is not None and depth < 12:
        names = ("parse_args", "parse_intermixed_args")
        if frame.f_code.co_name in names and frame.f_locals.get("self") is parser:
            return True
        frame, depth = frame.f_back, depth + 1
    return False


class NothingRequired:
    """A parser that misses nothing, for as long as it is asked by a command line without arguments."""

    def __init__(self, parser):
        groups = list(getattr(parser, "_mutually_exclusive_groups", ()))
        self.relaxed = [one for one in list(parser._actions) + groups if one.required]

    def __enter__(self):
        for one in self.relaxed:
            one.required = False

    def __exit__(self, *error):
        for one in self.relaxed:
            one.required = True


def shown(original):
    """A program that shows its help by itself, for want of arguments, has its parser ready too."""

    def show(self, file=None):
        # An error in words of the program's own prints the usage to a file it names.
        if not answering and (file is None or original.__name__ == "print_help"):
            answer_with("read_argparse", self)
        return original(self, file)

    return show


def watch_click(module):
    for name in ("BaseCommand", "Command", "TyperCommand", "TyperGroup"):
        kind = vars(module).get(name)
        if kind is None:
            continue
        for method in ("main", "make_context"):
            original = vars(kind).get(method)
            if original is not None:
                setattr(kind, method, asked_click(original, method, module.__name__))


def asked_click(original, method, module):
    position = 1 if method == "make_context" else 0  # of args: (info_name, args) or (args, …)

    def run(self, *args, **kwargs):
        global asked_module
        given = args[position] if len(args) > position else kwargs.get("args")
        if not answering and is_ours(given):
            asked_module = module.replace("typer.core", "typer._click.core")
            answer_with("read_click", self)
        return original(self, *args, **kwargs)

    return run


def settle_tempfile(module):
    # It finds its directory by writing to it, which is refused.
    module.tempdir = module.tempdir or os.environ.get("TMPDIR") or "/tmp"


AFTER_IMPORT = {
    "argparse": watch_argparse, "tempfile": settle_tempfile, "_dbm": divert_dbm, "_gdbm": divert_dbm,
    "_sqlite3": divert_sqlite, "shutil": settle_shutil, "socket": settle_socket,
    "_multiprocessing": settle_semaphores,
}


class Watcher:
    """Finds modules as everyone does, and has the watched ones changed once they are loaded."""

    def __init__(self):
        self.busy = set()

    def find_spec(self, name, path=None, target=None):
        if name not in WATCHED or name in self.busy:
            return None
        self.busy.add(name)
        try:
            for finder in sys.meta_path:
                spec = finder.find_spec(name, path, target) if finder is not self and hasattr(finder, "find_spec") else None
                if spec is not None and spec.loader is not None:
                    spec.loader = ChangesAfterwards(spec.loader, AFTER_IMPORT.get(name, watch_click))
                    return spec
        finally:
            self.busy.discard(name)
        return None


class ChangesAfterwards:
    """A loader that runs `change` on its module after the real one is done."""

    def __init__(self, loader, change):
        self.loader = loader
        self.change = change

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self.loader
        self.loader.exec_module(module)
        self.change(module)


def watch_parsers():
    sys.meta_path.insert(0, Watcher())
    for name in [name for name in WATCHED if name in sys.modules]:
        AFTER_IMPORT.get(name, watch_click)(sys.modules[name])  # a .pth file of the environment was earlier


def note_what_is_read():
    """Keeps the values of the environment variables that the program looks at."""
    kind = type(os.environ)
    original = kind.__getitem__

    def getitem(self, key):
        value = original(self, key)
        if isinstance(value, str):
            values_read.add(value)
        return value

    kind.__getitem__ = getitem
