"""Notices what an installed module gets of one moment or one process while it is imported."""

from zygote_places import is_installed, is_standard

# Functions whose result, kept by a module that is not of the standard library, would be the same in all calls, though
# it may be the same in two processes of one second: the clock, above all. What native libraries call is not seen here,
# and known by the values that are left.
MOMENTARY = {
    "time": "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time "
    "thread_time_ns clock_gettime clock_gettime_ns",
    "posix": "getpid getppid urandom getrandom getlogin times getloadavg",
    "_socket": "gethostname getaddrinfo gethostbyname",
    "_uuid": "generate_time_safe",
    "_thread": "start_new_thread start_joinable_thread get_native_id",
    "datetime": "now utcnow today",
}
MOMENTARY = {name: module for module, names in MOMENTARY.items() for name in names.split()}
# The same of functions in Python: by the file's name.
MOMENTARY_IN_PYTHON = {"seed": "random", "stack": "inspect"}


def watch_momentary(called):
    """A profiler that notes calls of functions whose result belongs to one moment or one process, by the module that
    is the reason for it. What the standard library calls when it is imported is none: it is known, and renewed.
    """

    def profiler(frame, event, function):
        if event == "call":
            name = frame.f_code.co_name
            if name in MOMENTARY_IN_PYTHON and frame.f_globals.get("__name__") == MOMENTARY_IN_PYTHON[name]:
                note(frame.f_back, "%s.%s" % (MOMENTARY_IN_PYTHON[name], name))
        elif event == "c_call":
            name = getattr(function, "__name__", None)
            if type(name) is str and name in MOMENTARY and is_of(function, MOMENTARY[name]):
                note(frame, "%s.%s" % (MOMENTARY[name], name))

    def is_of(function, module):
        """Whether a function is of this module, or a method of a class that comes from one of it."""
        owner = getattr(function, "__self__", None)
        if not isinstance(owner, type):
            return getattr(function, "__module__", None) == module
        return any(base.__module__ == module for base in owner.__mro__)

    def note(frame, name):
        while frame is not None:
            file = frame.f_code.co_filename
            if is_installed(file):
                module = frame.f_globals.get("__name__") or file
                # Its generator is seeded anew in each fork.
                if not module.startswith("numpy.random"):
                    called[module] = "calls " + name
                return
            if frame.f_code.co_name == "<module>" and is_standard(file):
                return
            frame = frame.f_back

    return profiler


def move_calendar(time):
    """Has the calendar of this process another month, day, hour, minute and second, since two processes of one moment
    would agree on them. The year stays: packages keep it to complete dates, and it changes once."""
    then = time.time() + 32 * 86400 + 3661
    if time.localtime(then).tm_year != time.localtime().tm_year:
        then -= 64 * 86400
    local = time.localtime(then)

    def moved(name, position, value):
        function = getattr(time, name)

        def at(*given):
            if len(given) > position and given[position] is not None:
                return function(*given)
            return function(*given[:position], value)

        setattr(time, name, at)

    for name in ("localtime", "gmtime", "ctime"):
        moved(name, 0, then)
    moved("asctime", 0, local)
    moved("strftime", 1, local)
