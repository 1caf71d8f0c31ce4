"""The releases of one app in one environment, on disk. Every change is one that a crash leaves whole.

release_dir/current            -> releases/VERSION, the symbolic link that is switched
release_dir/releases/VERSION/  a release
release_dir/.devops/records/   one file for each release that is complete; without it a release is a leftover
release_dir/.devops/state.json what runs now, what was current before, how the last run ended
release_dir/.devops/lock       held (flock) by whoever changes any of this; the system lets go of it at the
                               end of the process, however it ends
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import stat
import time

from failure import Failure
from targets import NAME

#: Seconds to try for the lock: `status` holds it for a moment, a deploy for long.
LOCK_PATIENCE = 1.0
MAX_RECORD = 1 << 20


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Releases:
    def __init__(self, target):
        self.target = target
        self.root = target.release_dir
        self.folder = os.path.join(self.root, "releases")
        self.link = os.path.join(self.root, "current")
        self.own = os.path.join(self.root, ".devops")
        self.records_folder = os.path.join(self.own, "records")
        self.state_file = os.path.join(self.own, "state.json")
        self.lock_file = os.path.join(self.own, "lock")

    def directory(self, version):
        return os.path.join(self.folder, version)

    # Reading

    def current(self):
        """The version that the link names, or `None` if there is no link.

        # Errors
        If `current` is something else, which is never replaced.
        """
        try:
            target = os.readlink(self.link)
        except FileNotFoundError:
            return None
        except OSError:
            message = "{} is not a symbolic link; move it away, then deploy again"
            raise Failure("bad_release_dir", message.format(self.link))
        folder, version = os.path.split(os.path.normpath(os.path.join(self.root, target)))
        if folder != os.path.normpath(self.folder) or not NAME.match(version):
            message = "{} leads to {}, which is no release of {}; remove the link, then deploy again"
            raise Failure("bad_release_dir", message.format(self.link, target, self.folder))
        return version

    def records(self):
        """The records of all complete releases, the newest first."""
        found = []
        for name in self._names(self.records_folder):
            version, ending = os.path.splitext(name)
            if ending == ".json" and NAME.match(version) and os.path.isdir(self.directory(version)):
                record = _read_json(os.path.join(self.records_folder, name))
                found.append(dict(record, version=version, number=_whole(record.get("number"))))
        return sorted(found, key=lambda record: record["number"], reverse=True)

    def state(self):
        """`running` (what is under way, or was when its process was killed), `previous`, `last`."""
        return _read_json(self.state_file)

    def is_locked(self):
        """Whether a deploy or rollback runs now, and what its lock says of it."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
        except BlockingIOError:
            return os.read(descriptor, 1024).decode("utf-8", "replace").strip() or "a deploy"
        finally:
            os.close(descriptor)

    @staticmethod
    def _names(folder):
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    # Changing: the lock is held

    @contextlib.contextmanager
    def locked(self, action):
        """Holds the lock of this app and environment.

        # Errors
        `busy`, if another process holds it.
        """
        try:
            for folder in (self.root, self.folder, self.own, self.records_folder):
                os.makedirs(folder, exist_ok=True)
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as fault:
            message = (
                "cannot write to the release_dir of {}: {}; give the server's user the right, or change release_dir"
            )
            raise Failure("bad_release_dir", message.format(self.target.name, fault))
        try:
            deadline = time.monotonic() + LOCK_PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        holder = os.read(descriptor, 1024).decode("utf-8", "replace").strip()
                        message = (
                            "{} is being changed by another call ({}); wait until it has ended, then ask for status"
                        )
                        raise Failure("busy", message.format(self.target.name, holder or "not known"))
                    time.sleep(0.02)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, "{} since {}, process {}\n".format(action, now(), os.getpid()).encode())
            yield
        finally:
            os.close(descriptor)

    def save_state(self, **changes):
        state = dict(self.state(), **changes)
        _write_json(self.state_file, state)
        return state

    def record(self, version, **changes):
        path = os.path.join(self.records_folder, version + ".json")
        record = _read_json(path)
        record.update(changes)
        _write_json(path, record)

    def recover(self):
        """Puts in order what a killed process left, and says what that was; `None` if there was nothing."""
        state = self.state()
        running = state.get("running")
        note = None
        current = self.current()
        if running:
            note = "an earlier {} of {} was interrupted at the step '{}'".format(
                running.get("action"), running.get("version"), running.get("step")
            )
            previous = state.get("previous")
            before = running.get("from")
            if before and before != current:
                previous = before
            ended = {
                "action": running.get("action"),
                "version": running.get("version"),
                "outcome": "interrupted",
                "at": now(),
            }
            self.save_state(running=None, previous=previous, last=ended)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._new_link())
        complete = {record["version"] for record in self.records() if not record.get("failed")}
        for name in self._names(self.folder):
            if name not in complete and name != current:
                # What cannot be removed, such as files of another user, stands in no deploy's way.
                with contextlib.suppress(OSError):
                    self.discard(name)
        for name in self._names(self.records_folder):
            if not os.path.isdir(self.directory(os.path.splitext(name)[0])):
                os.unlink(os.path.join(self.records_folder, name))
        return note

    def _new_link(self):
        return os.path.join(self.root, ".current.new")

    def switch(self, version):
        """Makes a release the current one, in one step: the link is never missing, and never leads nowhere."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._new_link())
        os.symlink(os.path.join("releases", version), self._new_link())
        os.replace(self._new_link(), self.link)
        _sync_folder(self.root)

    def discard(self, version):
        """Removes a release; its record first, so that what a crash leaves is known as a leftover."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.records_folder, version + ".json"))
        remove_tree(self.directory(version))

    def prune(self):
        """Keeps the newest releases, and in any case the current and the previous one. Returns what was removed."""
        spared = {self.current(), self.state().get("previous")}
        removed = []
        for index, record in enumerate(self.records()):
            if index >= self.target.keep and record["version"] not in spared:
                self.discard(record["version"])
                removed.append(record["version"])
        return removed

    def new_version(self, label):
        """A name that no release has, and the number of the next one."""
        base = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        label = re.sub(r"[^A-Za-z0-9]", "", label or "")[:12]
        base = base + "-" + label if label else base
        version, number = base, 1
        while os.path.lexists(self.directory(version)):
            number += 1
            version = "{}.{}".format(base, number)
        return version, max((record["number"] for record in self.records()), default=0) + 1


def remove_tree(path):
    """Removes a file or a directory with all in it, also where directories are read-only."""

    def make_writable(function, inner, _):
        try:
            for place in (os.path.dirname(inner), inner):
                is_inside = (place + os.sep).startswith(path + os.sep)
                if is_inside and not os.path.islink(place) and os.path.isdir(place):
                    os.chmod(place, stat.S_IRWXU)
            function(inner)
        except FileNotFoundError:
            pass

    if os.path.isdir(path) and not os.path.islink(path):
        # `onerror` is the name that every version from 3.8 on knows.
        shutil.rmtree(path, onerror=make_writable)
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _read_json(path):
    try:
        with open(path, "rb") as file:
            value = json.loads(file.read(MAX_RECORD).decode("utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _write_json(path, value):
    """Whole or not at all, also when the machine stops."""
    new = path + ".new"
    with open(new, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    _sync_folder(os.path.dirname(path))


def _sync_folder(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole(value):
    return value if isinstance(value, int) else 0
