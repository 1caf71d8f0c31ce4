# Runs cli.py as `python3 cli.py --help` would, and answers in its place when its parser is asked.
#
# `--help` is on the command line so that a program which looks at it before its parser does takes
# the way that does no work; the parser's own answer to it is never printed.

WATCHED = ("argparse", "click.core", "asyncclick.core", "typer._click.core", "typer.core", "tempfile")

half_asked = []
values_read = set()
answering = False
asked_module = "click.core"


def is_ours(args):
    """Whether a parser is asked about our command line, and not about words of the program's own."""
    if args is None:
        return True
    try:
        return "--help" in list(args)
    except TypeError:
        return True


def answer_with(read, *parts):
    global answering
    answering = True  # from here on, parsers are only looked at
    try:
        text = read(*parts)
    except Refused as refused:
        give_up(REFUSED, str(first_refusal[-1] if first_refusal else refused))
    except BaseException as error:
        give_up(FAULT, "its parser cannot be read: %s: %s" % (type(error).__name__, error))
    finish(SERVED, text)


def watch_argparse(module):
    parser_class = module.ArgumentParser
    for name in ("parse_known_args", "parse_known_intermixed_args", "parse_args", "parse_intermixed_args"):
        setattr(parser_class, name, asked(getattr(parser_class, name), "known" in name))
    for name in ("print_help", "print_usage"):
        setattr(parser_class, name, shown(getattr(parser_class, name)))


def asked(original, partial):
    def parse(self, args=None, namespace=None):
        if not answering and is_ours(args):
            if partial and not self.add_help:
                # The first of two parsers: it looks for its own options (a configuration file's name)
                # and leaves the rest, and --help, to the next.
                half_asked.append(self)
                return original(self, args, namespace)
            answer_with(read_argparse, self)
        return original(self, args, namespace)

    return parse


def shown(original):
    """A program that shows its help by itself, for want of arguments, has its parser ready too."""

    def show(self, file=None):
        # An error in words of the program's own prints the usage to a file it names.
        if not answering and (file is None or original.__name__ == "print_help"):
            answer_with(read_argparse, self)
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
            answer_with(read_click, self)
        return original(self, *args, **kwargs)

    return run


def settle_tempfile(module):
    # It finds its directory by writing to it, which is refused.
    module.tempdir = module.tempdir or os.environ.get("TMPDIR") or "/tmp"


AFTER_IMPORT = {"argparse": watch_argparse, "tempfile": settle_tempfile}


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


def be_impatient():
    """Says where a program hangs, before the server ends it without knowing."""
    import _thread
    import time

    main = _thread.get_ident()

    def wait():
        time.sleep(patience)
        where = place(sys._current_frames().get(main))
        give_up(REFUSED, "has not asked its parser after %g s%s" % (patience, where))

    _thread.start_new_thread(wait, ())


def run(path):
    with open(path, "rb") as file:
        source = file.read()
    main = type(sys)("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__
    main.__cached__ = None
    sys.modules["__main__"] = main
    sys.argv[:] = [path, "--help"]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = [sys.executable, path, "--help"]
    script = os.path.realpath(path) if os.path.islink(path) else os.path.abspath(path)
    sys.path[0:1] = [os.path.dirname(script)]
    exec(compile(source, path, "exec", dont_inherit=True), vars(main))


def run_and_give_up(path):
    """Comes back from the program only when its parser was not asked."""
    try:
        run(path)
        reason = "ended without asking an argparse, click or typer parser"
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else (0 if ending.code is None else 1)
        reason = "exited with status %d without asking an argparse, click or typer parser" % code
    except BaseException as error:
        if not first_refusal:
            give_up(FAULT, "%s: %s%s" % (type(error).__name__, error, traceback_place(error)))
        reason = ""
    if half_asked:
        answer_with(read_argparse, half_asked[-1])
    if first_refusal:
        give_up(REFUSED, first_refusal[0])
    give_up(NOT_ASKED, reason)


def traceback_place(error):
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name.startswith(plugin_directory + os.sep):
            found = " (%s, line %d)" % (os.path.relpath(name, plugin_directory), trace.tb_lineno)
        trace = trace.tb_next
    return found


cli = os.path.abspath(sys.argv[1])
patience = float(sys.argv[2])  # seconds; shorter than the server's own limit for a question
plugin_directory = os.path.dirname(cli)
plugin_name = os.path.basename(plugin_directory)
local_places = tuple(
    place for place in (os.path.expanduser("~"), os.getcwd(), plugin_directory, sys.prefix) if len(place) > 1
)
answer_descriptor = os.dup(1)
if sys.version_info < (3, 8):
    give_up(NOT_ASKED, "reading a program's parser needs Python 3.8 or newer; this is %s" % sys.version.split()[0])
os.dup2(2, 1)  # what the program prints must not be mixed with the answer
be_impatient()
note_what_is_read()
guard()
sys.meta_path.insert(0, Watcher())
for name in [name for name in WATCHED if name in sys.modules]:
    AFTER_IMPORT.get(name, watch_click)(sys.modules[name])  # a .pth file of the environment was earlier
run_and_give_up(cli)
