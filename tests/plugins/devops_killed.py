"""SIGKILL at each step: before every change of a file and before every program that a deploy starts, one after the
other. Whatever was reached, a whole release is current, and the next deploy puts the rest in order."""

import json
import os
import shutil
import signal
import sys
import unittest

from harness import PLUGINS, Case

sys.path.insert(0, str(PLUGINS / "devops"))
import cli  # noqa: E402

#: What changes a file or starts a program, as the interpreter reports it before it is done.
CHANGES = {
    "os.rename",
    "os.symlink",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "os.chmod",
    "subprocess.Popen",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: More than any of the calls below makes; a loop that does not end fails there.
MOST_CHANGES = 500


def call(words, kill_at=None):
    """Runs the plugin in a copy of this process; it kills itself before its `kill_at`th change. How it ended."""
    child = os.fork()
    if child == 0:
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            sys.argv = ["cli.py"] + list(words)
            count = 0

            def hook(event, arguments):
                nonlocal count
                writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
                if writes or event in CHANGES:
                    count += 1
                    if count == kill_at:
                        os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            status = cli.main()
        except BaseException as fault:  # nothing of the copy may go on as a test
            sys.stderr.write("{!r}\n".format(fault))
            status = 99
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


class Killed(Case):
    def setUp(self):
        super().setUp()
        os.environ["DEVOPS_APPS"] = str(self.place / "apps.toml")
        # Going back happens where the restart refuses a release.
        self.configure("keep = 3\nbuild = 'cp version built'\nrestart = 'test $(cat version) != bad'")
        self.template = self.place / "template"
        for version in ("1", "2"):
            self.write(version, 200)
            self.assertEqual(call(self.words("deploy")), 0)
        self.first = [name for name in self.versions() if self.content(name) == "1"][0]
        shutil.copytree(str(self.root), str(self.template), symlinks=True)

    def words(self, action):
        more = ["--version", self.first] if action == "rollback" else ["--environment", "production"]
        return [action, "--app-name", "shop"] + more

    def content(self, name):
        return (self.root / "releases" / name / "version").read_text()

    def at_every_change(self, action, version, expected):
        """Kills `action` at each of its changes; `expected` are the contents that may be current then."""
        seen = set()
        for point in range(1, MOST_CHANGES):
            shutil.rmtree(str(self.root))
            shutil.copytree(str(self.template), str(self.root), symlinks=True)
            self.write(version, 200)
            ending = call(self.words(action), kill_at=point)
            current = self.current()
            self.assertIn(current, expected, "killed at change {}".format(point))
            self.assertEqual((self.root / "current" / "built").read_text(), current)
            self.assertEqual(call(["status", "--app-name", "shop"]), 0)
            seen.add(current)
            if not os.WIFSIGNALED(ending):
                break
            self.assertEqual(os.WTERMSIG(ending), signal.SIGKILL)
            if point % 2 == 0:
                # Who comes next may want the release that was there before everything.
                self.assertEqual(call(self.words("rollback")), 0, "after a kill at change {}".format(point))
                current = self.current()
                self.assertEqual(current, "1")
            self.next_deploy_is_in_order(point, seen_before=current)
        self.assertEqual(seen, set(expected))
        self.assertGreater(point, 10)

    def next_deploy_is_in_order(self, point, seen_before):
        self.write("next", 200)
        self.assertEqual(call(self.words("deploy")), 0, "after a kill at change {}".format(point))
        self.assertEqual(self.current(), "next")
        records = sorted(path.name[: -len(".json")] for path in (self.root / ".devops" / "records").iterdir())
        self.assertEqual(self.versions(), records, "after a kill at change {}".format(point))
        self.assertLessEqual(len(records), 4)
        state = json.loads((self.root / ".devops" / "state.json").read_text())
        self.assertEqual((state["running"], self.content(state["previous"])), (None, seen_before))
        self.assertEqual(sorted(entry.name for entry in self.root.iterdir()), [".devops", "current", "releases"])

    def test_a_deploy(self):
        self.at_every_change("deploy", "3", {"2", "3"})

    def test_a_deploy_that_goes_back(self):
        self.at_every_change("deploy", "bad", {"2", "bad"})

    def test_a_rollback(self):
        self.at_every_change("rollback", "3", {"2", "1"})


if __name__ == "__main__":
    unittest.main()
