"""Where the files of a release come from: a directory, a tarball, or a git repository."""

import hashlib
import os
import re
import shutil
import time

import commands
from failure import Failure
from releases import remove_tree


def describe(source):
    """The source in one line, without passwords."""
    if "git" in source:
        return "{} at {}".format(without_password(source["git"]), source["ref"])
    return source.get("directory") or source.get("tarball")


def without_password(text):
    return re.sub(r"(?<=://)[^/@\s]+@", "***@", text)


class Source:
    """The source of one deploy. First `identify`, then `fill`."""

    def __init__(self, target, own):
        self._source = target.source
        self._seconds = target.step_timeout
        self._mirror = os.path.join(own, "source.git")
        self._index = os.path.join(own, "source.index")
        self._commit = None

    def identify(self):
        """Finds out what would be deployed: facts for the record, with a `label` for the version's name.

        # Errors
        If the source is not there.
        """
        if "git" in self._source:
            self._commit = self._fetch()
            return {"label": self._commit[:8], "commit": self._commit, "ref": self._source["ref"]}
        if "tarball" in self._source:
            digest = self._digest()
            return {"label": digest[:8], "sha256": digest}
        directory = self._source["directory"]
        if not os.path.isdir(directory):
            raise Failure("source_failed", "the source {} is not a directory".format(directory))
        return {"label": ""}

    def fill(self, into):
        """Puts the files into an empty directory."""
        if "git" in self._source:
            if os.path.exists(self._index):
                os.unlink(self._index)
            variables = {"GIT_INDEX_FILE": self._index}
            self._git(["--work-tree=" + into, "checkout", "--force", self._commit, "--", "."], variables)
        elif "tarball" in self._source:
            self._unpack(into)
        else:
            self._copy(into)

    def _digest(self):
        deadline = time.monotonic() + self._seconds
        digest = hashlib.sha256()
        try:
            with open(self._source["tarball"], "rb") as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    digest.update(piece)
                    _within(deadline, self._seconds, "reading the tarball")
        except OSError as fault:
            raise Failure("source_failed", "the tarball cannot be read: {}".format(fault))
        return digest.hexdigest()

    def _unpack(self, into):
        # GNU tar and bsdtar keep absolute names and `..` inside, and write through no link that they have made.
        argv = ["tar", "-x", "--no-same-owner", "--no-same-permissions", "-f", self._source["tarball"], "-C", into]
        if self._source["strip"]:
            argv.append("--strip-components={}".format(self._source["strip"]))
        _succeed("unpacking {}".format(self._source["tarball"]), commands.run(argv, seconds=self._seconds))

    def _copy(self, into):
        deadline = time.monotonic() + self._seconds
        exclude = shutil.ignore_patterns(*self._source["exclude"])

        def excluded(folder, names):
            _within(deadline, self._seconds, "copying " + self._source["directory"])
            return exclude(folder, names)

        try:
            shutil.copytree(self._source["directory"], into, symlinks=True, ignore=excluded, dirs_exist_ok=True)
        except shutil.Error as faults:
            shown = ["{}: {}".format(fault[0], fault[2]) for fault in faults.args[0][:5]]
            raise Failure("source_failed", "some files cannot be copied: {}".format("; ".join(shown)))
        except OSError as fault:
            raise Failure("source_failed", "the source cannot be copied: {}".format(fault))

    def _fetch(self):
        """The commit of the configured ref, in a mirror that is kept from one deploy to the next."""
        for is_last in (False, True):
            if not os.path.isdir(self._mirror):
                os.makedirs(self._mirror)
                self._git(["init", "--quiet", "--bare"])
            specs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
            argv = ["fetch", "--quiet", "--force", "--prune", "--no-auto-gc", "--", self._source["git"]] + specs
            outcome = self._git(argv, may_fail=True)
            if outcome.is_success:
                break
            if is_last:
                _succeed("fetching from " + without_password(self._source["git"]), outcome)
            # A git that was killed leaves locks and half a repository.
            remove_tree(self._mirror)
        ref = self._source["ref"]
        outcome = self._git(["rev-parse", "--verify", "--quiet", "--end-of-options", ref + "^{commit}"], may_fail=True)
        commit = outcome.output.strip()
        if not outcome.is_success or not re.match(r"[0-9a-f]{40,64}\Z", commit):
            message = "{} has no branch, tag or commit {!r} on its branches"
            raise Failure("source_failed", message.format(without_password(self._source["git"]), ref))
        return commit

    def _git(self, words, variables=None, may_fail=False):
        variables = dict({"GIT_TERMINAL_PROMPT": "0", "GIT_DIR": self._mirror}, **(variables or {}))
        outcome = commands.run(["git"] + words, self._mirror, variables, self._seconds)
        if not may_fail:
            _succeed("git " + " ".join(word for word in words if not word.startswith("-"))[:80], outcome)
        return outcome


def _succeed(what, outcome):
    if not outcome.is_success:
        output = without_password(outcome.output)
        message = "{} failed: {}".format(what, outcome.why()) + (": " + output[-2000:] if output else "")
        raise Failure("source_failed", message)


def _within(deadline, seconds, what):
    if time.monotonic() > deadline:
        raise Failure("source_failed", "{} took longer than {:g} s".format(what, seconds))
