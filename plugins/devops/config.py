"""apps.toml: where it is, and how it is loaded."""

import os
import stat
import sys

from failure import Failure
from reading import Reader
from targets import EXAMPLE, Settings

VARIABLE = "DEVOPS_APPS"
DEFAULTS = ("~/.config/smcp/apps.toml", "/etc/smcp/apps.toml")
MAX_SIZE = 1 << 20
MAX_FAULTS = 10


def path_of_settings():
    """The file that is used.

    # Errors
    Says what to set, if there is none.
    """
    given = os.environ.get(VARIABLE)
    if given:
        if os.path.isfile(given):
            return given
        raise Failure("not_configured", "{}={} is not a file; {}".format(VARIABLE, given, _advice()))
    for default in DEFAULTS:
        path = os.path.expanduser(default)
        if os.path.isfile(path):
            return path
    looked = " nor ".join(DEFAULTS)
    raise Failure(
        "not_configured",
        "no app is configured: {} is not set, and there is neither {}; {}".format(VARIABLE, looked, _advice()),
    )


def _advice():
    advice = (
        "copy {} to {} and change it for your apps, or set {} in the server's environment to the path of " "such a file"
    )
    return advice.format(EXAMPLE, DEFAULTS[0], VARIABLE)


def load():
    """Reads and checks the whole file."""
    path = path_of_settings()
    with open(path, "rb") as file:
        info = os.fstat(file.fileno())
        if stat.S_IMODE(info.st_mode) & stat.S_IWOTH:
            message = "anybody may write to {}, and it names the commands that are run; run: chmod o-w {}"
            raise Failure("bad_configuration", message.format(path, path))
        content = file.read(MAX_SIZE + 1)
    if len(content) > MAX_SIZE:
        raise Failure("bad_configuration", "{} is longer than {} bytes".format(path, MAX_SIZE))
    toml = _toml()
    try:
        document = toml.loads(content.decode("utf-8"))
    except UnicodeDecodeError as fault:
        raise Failure("bad_configuration", "{} is not UTF-8: {}".format(path, fault))
    except toml.TOMLDecodeError as fault:
        raise Failure("bad_configuration", "{} is not TOML: {}".format(path, fault))
    faults = []
    targets = Reader(faults).targets(document)
    if faults:
        shown = "; ".join(faults[:MAX_FAULTS])
        if len(faults) > MAX_FAULTS:
            shown += "; and {} more".format(len(faults) - MAX_FAULTS)
        raise Failure("bad_configuration", "{}: {}".format(path, shown), faults=faults[:MAX_FAULTS])
    return Settings(path, targets)


def _toml():
    try:
        import tomllib
    except ImportError:
        try:
            import tomli as tomllib
        except ImportError:
            message = "Python {}.{} at {} cannot read TOML; use Python 3.11 or newer, or run: {} -m pip install tomli"
            raise Failure("not_configured", message.format(*sys.version_info[:2], sys.executable, sys.executable))
    return tomllib
