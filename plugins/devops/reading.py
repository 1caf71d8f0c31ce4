"""From the document in apps.toml to targets; every fault is noted with its address."""

import difflib
import os
import re
from urllib.parse import urlsplit

from targets import EXAMPLE, NAME, Command, Health, Target, words

UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:\\-]{0,200}\Z")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
#: Control characters and the space: no address and no name of a branch has them.
UNPRINTABLE = re.compile(r"[\0-\x20]")

SETTINGS = (
    "release_dir", "source", "build", "check", "restart", "systemd", "systemd_user", "docker", "log_file", "health",
    "keep", "step_timeout", "variables",
)  # fmt: skip
SOURCES = {
    "directory": ("directory", "exclude"),
    "tarball": ("tarball", "strip"),
    "git": ("git", "ref"),
}
HEALTH = ("url", "status", "timeout", "contains", "headers")


class Reader:
    """Turns the document into targets, and notes each fault with its address."""

    def __init__(self, faults):
        self.faults = faults

    def fault(self, address, words_):
        self.faults.append("{} {}".format(address, words_))

    def table(self, value, address, known=None):
        if not isinstance(value, dict):
            self.fault(address, "must be a table")
            return {}
        for name in value if known is not None else ():
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = "did you mean {!r}?".format(near[0]) if near else "there are {}".format(words(known))
                self.fault("{}.{}".format(address, name), "is not a setting; " + hint)
        return value

    def named(self, value, address):
        """The entries of a table whose keys are names of apps or environments."""
        for name, entry in self.table(value, address).items():
            if NAME.match(name):
                yield name, entry
            else:
                self.fault(
                    "{}.{!r}".format(address, name), "is no name: letters, digits, '_', '-' and single dots, at most 64"
                )

    def targets(self, document):
        self.table(document, "apps.toml", ("defaults", "apps"))
        defaults = self.table(document.get("defaults", {}), "defaults", SETTINGS)
        targets = []
        for app, entry in self.named(document.get("apps", {}), "apps"):
            address = "apps." + app
            entry = self.table(entry, address, ("description", "environments") + SETTINGS)
            shared = dict(defaults, **{name: entry[name] for name in SETTINGS if name in entry})
            environments = entry.get("environments", {})
            if not environments:
                self.fault(address, "has no environments: add [{}.environments.production]".format(address))
            description = self.typed(entry, "description", str, address) or ""
            for environment, own in self.named(environments, address + ".environments"):
                place = "{}.environments.{}".format(address, environment)
                merged = dict(shared, **self.table(own, place, SETTINGS))
                targets.append(self.target(app, environment, description, merged, place))
        if not targets and not self.faults:
            self.fault("apps", "is empty: describe an app as in " + EXAMPLE)
        self.apart(targets)
        return targets

    def apart(self, targets):
        """Two targets in one directory would remove each other's releases."""
        seen = {}
        for target in targets:
            place = os.path.realpath(target.release_dir)
            if place in seen:
                self.fault(target.name, "has the release_dir of {}: {}".format(seen[place], target.release_dir))
            seen.setdefault(place, target.name)

    def target(self, app, environment, description, entry, address):
        variables = self.table(entry.get("variables", {}), address + ".variables")
        for name, value in variables.items():
            if not VARIABLE_NAME.match(name) or not isinstance(value, str) or "\0" in value:
                self.fault("{}.variables.{}".format(address, name), "must be a name and a text")
        release_dir = self.path(entry, "release_dir", address, required=True) or "/"
        target = Target(
            app,
            environment,
            description,
            release_dir,
            self.source(entry.get("source"), address + ".source", release_dir),
            build=self.commands(entry, "build", address),
            check=self.commands(entry, "check", address),
            restart=self.commands(entry, "restart", address),
            systemd=self.unit(entry, "systemd", address),
            systemd_user=self.typed(entry, "systemd_user", bool, address) or False,
            docker=self.unit(entry, "docker", address),
            log_file=self.path(entry, "log_file", address),
            health=self.health(entry.get("health"), address + ".health"),
            keep=self.number(entry, "keep", address, 5, 1, 1000, int),
            step_timeout=self.number(entry, "step_timeout", address, 600, 1, 86400, (int, float)),
            variables=variables,
        )
        if target.systemd and target.docker:
            self.fault(address, "names a systemd unit and a docker container; name one")
        return target

    def typed(self, entry, name, kind, address):
        value = entry.get(name)
        if value is None or (isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))):
            return value
        called = {str: "a text", bool: "true or false"}.get(kind, "a number")
        self.fault("{}.{}".format(address, name), "must be {}, not {!r}".format(called, value))
        return None

    def number(self, entry, name, address, default, least, most, kind):
        value = self.typed(entry, name, kind, address)
        if value is None:
            return default
        if not least <= value <= most:
            self.fault("{}.{}".format(address, name), "must be from {} to {}, not {}".format(least, most, value))
            return default
        return value

    def path(self, entry, name, address, required=False):
        value = self.typed(entry, name, str, address)
        if value is None:
            if required and name not in entry:
                self.fault("{}.{}".format(address, name), "is missing")
            return None
        value = os.path.expanduser(value)
        if not os.path.isabs(value) or "\0" in value:
            self.fault("{}.{}".format(address, name), "must be an absolute path, not {!r}".format(value))
            return None
        return os.path.normpath(value)

    def unit(self, entry, name, address):
        value = self.typed(entry, name, str, address)
        if value is not None and not UNIT.match(value):
            self.fault("{}.{}".format(address, name), "is no name of a unit or container: {!r}".format(value))
            return None
        return value

    def commands(self, entry, name, address):
        value = entry.get(name)
        place = "{}.{}".format(address, name)
        if value is None:
            return []
        if isinstance(value, str) and value.strip() and "\0" not in value:
            return [Command(["sh", "-c", value], value)]
        if _is_argv(value):
            return [Command(value, " ".join(value))]
        if isinstance(value, list) and value and all(_is_argv(one) for one in value):
            return [Command(one, " ".join(one)) for one in value]
        self.fault(
            place,
            'must be ["program", "argument"], a list of such lists, or a text that sh runs, not {!r}'.format(value),
        )
        return []

    def source(self, value, address, release_dir):
        if value is None:
            self.fault(
                address, 'is missing: {directory = "/path"}, {tarball = "/path.tar.gz"} or {git = "URL", ref = "main"}'
            )
            return {}
        kinds = [kind for kind in SOURCES if isinstance(value, dict) and kind in value]
        if len(kinds) != 1:
            self.fault(address, "must have exactly one of directory, tarball, git")
            return {}
        kind = kinds[0]
        self.table(value, address, SOURCES[kind])
        if kind == "git":
            found = {"git": self.typed(value, "git", str, address), "ref": self.typed(value, "ref", str, address)}
            for name in ("git", "ref"):
                if name not in value:
                    self.fault("{}.{}".format(address, name), "is missing")
                elif not found[name] or found[name].startswith("-") or UNPRINTABLE.search(found[name]):
                    self.fault("{}.{}".format(address, name), "must not be empty, begin with '-' or have white space")
            return found
        found = {kind: self.path(value, kind, address)}
        if kind == "tarball":
            found["strip"] = self.number(value, "strip", address, 0, 0, 20, int)
            return found
        exclude = value.get("exclude", [".git"])
        if not isinstance(exclude, list) or not all(isinstance(one, str) for one in exclude):
            self.fault(address + ".exclude", "must be a list of names or patterns")
            exclude = []
        found["exclude"] = exclude
        if found[kind] and os.path.realpath(release_dir).startswith(os.path.realpath(found[kind]) + os.sep):
            self.fault(address, "has the release_dir inside of it; choose another one")
        return found

    def health(self, value, address):
        if value is None:
            return None
        value = self.table({"url": value} if isinstance(value, str) else value, address, HEALTH)
        url = self.typed(value, "url", str, address) or ""
        try:
            parts = urlsplit(url)
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            is_url = False
        if not is_url or UNPRINTABLE.search(url):
            self.fault(address + ".url", "must be an http or https address, not {!r}".format(url))
        headers = self.table(value.get("headers", {}), address + ".headers")
        for name, text in headers.items():
            if not isinstance(text, str) or not re.match(r"[A-Za-z0-9-]+\Z", name) or re.search(r"[\0\r\n]", text):
                self.fault("{}.headers.{}".format(address, name), "must be a header's name and a text of one line")
        return Health(
            url,
            status=self.number(value, "status", address, 200, 100, 599, int),
            timeout=self.number(value, "timeout", address, 30, 0.1, 3600, (int, float)),
            contains=self.typed(value, "contains", str, address),
            headers=headers,
        )


def _is_argv(value):
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(word, str) and "\0" not in word for word in value)
        and bool(value[0])
    )
