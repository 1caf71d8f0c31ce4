# Runs cli.py as `python3 cli.py --help` would, under the guard, and says how that ended.
#
# Arguments: cli.py, the seconds to wait, an empty directory for the private copy (or nothing), and the
# words to run it with. Without words its parser is watched; with words it is only run, and what it
# prints is the answer.


def start_watchdog():
    """Says where a program hangs, before the server ends it without knowing."""
    import _thread
    import time

    main = _thread.get_ident()

    def wait():
        time.sleep(time_limit / 2)
        if was_asked_in_full():
            give_up_half_asked()  # what follows it may be the program's work
        time.sleep(time_limit / 2)
        if was_asked_in_full():
            give_up_half_asked()
        where = place(sys._current_frames().get(main))
        what = "has not %s after %g s%s" % ("ended" if words else "asked its parser", time_limit, where)
        give_up(REFUSED if refusals else HANGS, after_refusals(what))

    _thread.start_new_thread(wait, ())


def run(path):
    with open(path, "rb") as file:
        source = file.read()
    main = type(sys)("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__
    main.__cached__ = None
    sys.modules["__main__"] = main
    sys.argv[:] = [path] + (words or ["--help"])
    if hasattr(sys, "orig_argv"):
        sys.orig_argv[:] = [sys.executable] + sys.argv
    script = os.path.realpath(path) if os.path.islink(path) else os.path.abspath(path)
    sys.path[0:1] = [os.path.dirname(script)]
    exec(compile(source, path, "exec", dont_inherit=True), vars(main))


def run_and_give_up(path):
    """Comes back from the program only when its parser was not asked."""
    error, status = None, 0
    try:
        run(path)
    except SystemExit as ending:
        error, status = ending, status_of(ending.code)
    except BaseException as fault:
        error, status = fault, 1
    refused = refusal_behind(error)
    if words:
        if refused or status:
            give_up(REFUSED if refused else NOT_ASKED, reason_of(refused, error, status))
        finish(SERVED, answer=text_printed())
    if was_asked_in_full() or (half_asked and error is None):
        give_up_half_asked()
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        # Until the program changes a file itself, the kernel lets nobody write to one.
        deed = "writes to a file by native code" if own_functions is None else "writes more than %d bytes to one file" % MAX_WRITTEN
        refusals.append("%s%s" % (deed, traceback_place(error)))
    reason = reason_of(refused, error, status)
    if refused:
        give_up(REFUSED, reason)
    if error is not None and not isinstance(error, SystemExit):
        give_up(REFUSED if refusals else FAULT, reason)
    help_text = text_printed()
    if refusals and (status or not help_text.strip()):
        give_up(REFUSED, after_refusals(reason))
    status_here = NOT_ASKED if may_describe_itself() else NO_DESCRIBE
    give_up(status_here, reason, help_text)


def may_describe_itself():
    """Whether anything that the program loaded has the word, so that the question is worth another start."""
    library, left = os.path.dirname(os.__file__) + os.sep, 2000
    for module in [sys.modules["__main__"]] + list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or (path.startswith(library) and "-packages" not in path):
            continue
        left -= 1
        try:
            with open(path, "rb") as file:
                found = b"describe" in file.read(1 << 20)
        except OSError:
            found = True
        if found or not left:
            return True
    return False


def status_of(code):
    """The exit status that the code of a SystemExit gives."""
    if isinstance(code, int):
        return code
    if code is None:
        return 0
    complained.append((str(code) + "\n").encode("utf-8", "replace"))
    return 1


def reason_of(refused, error, status):
    if refused:
        return refused.reason
    if error is None:
        return "ended without asking an argparse, click or typer parser" + last_words(0)
    if isinstance(error, SystemExit):
        return "exited with status %d without asking an argparse, click or typer parser%s" % (status, last_words(status))
    return after_refusals("%s: %s%s" % (type(error).__name__, error, traceback_place(error)))


def last_words(status):
    """What the program said at last of its failure, as the end of a reason."""
    flush()
    answer, complaint = (b"".join(kept).decode("utf-8", "replace").strip() for kept in (printed, complained))
    is_error = answer.startswith("{") and '"error"' in answer
    text = answer if is_error else complaint or answer
    if not status and not is_error:
        return ""  # it has worked, or shown its help
    last = text[-10000:].splitlines()[-1:]
    if last and len(last[0].strip()) < 3:
        last = [text]  # the end of JSON in many lines
    return ", and said: " + " ".join(last[0].split())[:180] if last else ""


def after_refusals(reason):
    """A reason, and what was refused before: it may be why, or it may have been done without."""
    return "%s, after it was refused that it %s" % (reason, refusals[-1]) if refusals else reason


def was_asked_in_full():
    """Whether the parser that left words over is all there is: it knows `--help`, which first stages leave to the next."""
    return bool(half_asked) and "--help" in half_asked[-1][0]._option_string_actions


def give_up_half_asked():
    parser, firsts = half_asked[-1]
    answer_with("read_argparse", parser, firsts)


def traceback_place(error):
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if is_of_plugin(name):
            found = " (%s, line %d)" % (os.path.relpath(name, plugin_directory), trace.tb_lineno)
        trace = trace.tb_next
    return found


import gc

gc.disable()  # the process is short, and loading makes little garbage
cli = os.path.abspath(sys.argv[1])
time_limit = float(sys.argv[2])  # seconds; shorter than the server's own limit for a question
copy_root = sys.argv[3] and os.path.realpath(sys.argv[3])  # where what the program writes is kept
words = sys.argv[4:]
plugin_directory = os.path.dirname(cli)
plugin_name = os.path.basename(plugin_directory)
local_places = tuple(
    place for place in (os.path.expanduser("~"), os.getcwd(), plugin_directory, sys.prefix) if len(place) > 1
)
answer_descriptor = os.dup(1)
if sys.version_info < (3, 8):
    give_up(TOO_OLD, "reading a program's parser needs Python 3.8 or newer; this is %s" % sys.version.split()[0])
os.dup2(2, 1)  # what the program prints must not be mixed with the answer
start_watchdog()
note_what_is_read()
guard()
if not words:
    watch_parsers()
run_and_give_up(cli)
