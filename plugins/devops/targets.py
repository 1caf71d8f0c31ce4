"""What is configured of each app and environment."""

import os
import re
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from failure import Failure

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apps.example.toml")
#: Names become directories and words of command lines: no slash, no `..`, nothing that looks like an option.
NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,63}\Z")


@dataclass
class Command:
    """A program with its arguments. `sh -c` only where the operator wrote a string."""

    argv: List[str]
    shown: str


@dataclass
class Health:
    url: str
    status: int = 200
    #: Seconds from the first request until the app counts as unhealthy.
    timeout: float = 30
    contains: Optional[str] = None
    headers: Dict[str, str] = field(default_factory=dict)


@dataclass
class Target:
    """One app in one environment."""

    app: str
    environment: str
    description: str
    release_dir: str
    source: dict
    build: List[Command] = field(default_factory=list)
    check: List[Command] = field(default_factory=list)
    restart: List[Command] = field(default_factory=list)
    systemd: Optional[str] = None
    systemd_user: bool = False
    docker: Optional[str] = None
    log_file: Optional[str] = None
    health: Optional[Health] = None
    keep: int = 5
    #: Seconds that each command may take.
    step_timeout: float = 600
    variables: Dict[str, str] = field(default_factory=dict)

    @property
    def name(self):
        return "{}/{}".format(self.app, self.environment)


class Settings:
    """What apps.toml says."""

    def __init__(self, path, targets):
        self.path = path
        self.targets = targets

    def environments(self, app):
        """The targets of an app, by environment."""
        found = {target.environment: target for target in self.targets if target.app == app}
        if not found:
            apps = sorted({target.app for target in self.targets})
            raise Failure("unknown_app", "{} has no app {!r}; it has {}".format(self.path, app, words(apps)), apps=apps)
        return found

    def target(self, app, environment):
        found = self.environments(app)
        if environment not in found:
            message = "app {!r} has no environment {!r} in {}; it has {}"
            message = message.format(app, environment, self.path, words(sorted(found)))
            raise Failure("unknown_environment", message, environments=sorted(found))
        return found[environment]


def words(names):
    return ", ".join(names) if names else "none"
