"""What apps.toml may say, what happens then, and what is refused: the plugin called as the server calls it."""

import concurrent.futures
import io
import os
import signal
import socket
import subprocess
import sys
import tarfile
import unittest
from unittest import mock

from harness import PLUGINS, Case, until

sys.path.insert(0, str(PLUGINS / "devops"))
import config  # noqa: E402
import health  # noqa: E402
from failure import Failure  # noqa: E402
from targets import Health as HealthSettings  # noqa: E402

SHOP = ("--app-name", "shop")
PRODUCTION = SHOP + ("--environment", "production")


class Configuration(Case):
    def refusal(self):
        """What is said of a configuration that is refused. In this process: there are many."""
        variables = {"DEVOPS_APPS": str(self.place / "apps.toml")}
        with mock.patch.dict("os.environ", variables), self.assertRaises(Failure) as raised:
            config.load()
        self.assertEqual(raised.exception.code, "bad_configuration")
        return raised.exception.message

    def test_without_settings_it_says_what_to_set(self):
        example = str(PLUGINS / "devops" / "apps.example.toml")
        for words in (
            ("list",),
            ("deploy",) + PRODUCTION,
            ("status",) + SHOP,
            ("logs",) + SHOP,
            ("rollback", "--version", "1") + SHOP,
        ):
            message = self.fails("not_configured", *words)["error"]
            self.assertIn("is not a file; copy {} to ~/.config/smcp/apps.toml".format(example), message)
        message = self.fails("not_configured", "list", DEVOPS_APPS="")["error"]
        self.assertIn("DEVOPS_APPS is not set, and there is neither ~/.config/smcp/apps.toml nor", message)

    def test_the_default_place_is_read(self):
        folder = self.place / ".config" / "smcp"
        folder.mkdir(parents=True)
        self.configure().rename(folder / "apps.toml")
        answer = self.succeeds("list", DEVOPS_APPS="")
        self.assertEqual(answer["configuration"], str(folder / "apps.toml"))

    def test_the_example_is_a_configuration(self):
        answer = self.succeeds("list", DEVOPS_APPS=str(PLUGINS / "devops" / "apps.example.toml"))
        self.assertEqual([app["app"] for app in answer["apps"]], ["shop", "wiki", "pages"])

    def test_every_fault_is_named_with_its_place(self):
        cases = [
            ("keep = 0", "keep must be from 1 to 1000, not 0"),
            ("keep = true", "keep must be a number, not True"),
            ("helth = 'x'", "helth is not a setting; did you mean 'health'?"),
            ("health = 'ftp://x/'", "health.url must be an http or https address"),
            ("health = { url = 'http://127.0.0.1:1/', status = 20 }", "health.status must be from 100 to 599"),
            ("build = ['npm', 1]", "build must be ["),
            ("build = []", "build must be ["),
            ("systemd = '--now'", "systemd is no name of a unit"),
            ("systemd = 'a'\ndocker = 'b'", "name one"),
            ("log_file = 'logs/x'", "log_file must be an absolute path"),
            ("variables = { 'A=B' = 'x' }", "variables.A=B must be a name and a text"),
        ]
        for text, expected in cases:
            self.configure(text)
            message = self.refusal()
            self.assertIn("apps.shop.environments.production", message)
            self.assertIn(expected, message)
        sources = [
            ("{ directory = 'here' }", "source.directory must be an absolute path"),
            ("{ git = 'https://x/', tarball = '/x' }", "must have exactly one of"),
            ("{ git = '--upload-pack=touch', ref = 'main' }", "source.git must not be empty, begin with '-'"),
            ("{ git = 'https://x/', ref = '--all' }", "source.ref must not be empty, begin with '-'"),
            ("{ git = 'https://x/' }", "source.ref is missing"),
            ("{{ directory = '{}' }}".format(self.place), "has the release_dir inside of it"),
        ]
        for source, expected in sources:
            self.configure(source=source)
            self.assertIn(expected, self.refusal())
        (self.place / "apps.toml").write_text("[apps\n")
        self.assertIn("is not TOML", self.refusal())
        self.configure().chmod(0o666)
        self.assertIn("chmod o-w", self.refusal())

    def test_names_cannot_lead_elsewhere(self):
        for name in ("..", "a/b", "-rf", "a..b", "", "a b", "$(id)", "a" * 65):
            self.configure()
            path = self.place / "apps.toml"
            path.write_text(path.read_text().replace("environments.production", 'environments."{}"'.format(name)))
            self.assertIn("is no name", self.refusal(), name)
        self.configure()
        for name in ("..", "../root", "-rf", "$(id)", ""):
            with mock.patch.dict("os.environ", {"DEVOPS_APPS": str(self.place / "apps.toml")}):
                settings = config.load()
            for app, environment, code in ((name, "production", "unknown_app"), ("shop", name, "unknown_environment")):
                with self.assertRaises(Failure) as raised:
                    settings.target(app, environment)
                self.assertEqual(raised.exception.code, code)
        self.fails("unknown_app", "deploy", "--app-name=../root", "--environment", "production")
        self.fails("unknown_environment", "deploy", "--environment=-rf", *SHOP)
        self.assertFalse(self.root.exists())

    def test_two_environments_do_not_share_a_directory(self):
        path = self.configure()
        text = path.read_text()
        path.write_text(text + text.replace("production", "staging"))
        self.assertIn("has the release_dir of shop/production", self.refusal())

    def test_an_environment_may_be_left_out_where_it_is_clear(self):
        path = self.configure()
        text = path.read_text()
        path.write_text(text + text.replace("production", "staging").replace(str(self.root), str(self.root) + "2"))
        first = self.deploy()["version"]
        self.assertIn("production, staging", self.fails("ambiguous", "logs", *SHOP)["error"])
        self.assertIn(
            "production, staging", self.fails("ambiguous", "rollback", "--version", "previous", *SHOP)["error"]
        )
        self.write("2", 200)
        self.deploy()
        self.assertEqual(self.succeeds("rollback", "--version", first, *SHOP)["environment"], "production")
        self.assertEqual(self.current(), "1")


class Sources(Case):
    def git(self, *words):
        who = ("-c", "user.name=tests", "-c", "user.email=tests@example.org", "-c", "commit.gpgsign=false")
        command = ("git",) + who + words
        made = subprocess.run(
            command, cwd=str(self.source), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.variables()
        )
        self.assertEqual(made.returncode, 0, made.stdout)
        return made.stdout.decode().strip()

    def commit(self, version):
        self.write(version, 200)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", version)
        return self.git("rev-parse", "HEAD")

    def test_a_git_repository_is_followed_by_branch_tag_and_commit(self):
        self.git("init", "--quiet")
        self.git("checkout", "--quiet", "-b", "main")
        first = self.commit("1")
        self.git("tag", "v1")
        address = "file://" + str(self.source)
        self.configure(source="{{ git = '{}', ref = 'main' }}".format(address))
        answer = self.deploy()
        self.assertEqual((answer["commit"], self.current()), (first, "1"))
        self.assertTrue(answer["version"].endswith("-" + first[:8]), answer)
        second = self.commit("2")
        self.assertEqual((self.deploy()["commit"], self.current()), (second, "2"))
        for ref, version in (("v1", "1"), (second, "2")):
            self.configure(source="{{ git = '{}', ref = '{}' }}".format(address, ref))
            self.deploy()
            self.assertEqual(self.current(), version)
        self.configure(source="{{ git = '{}', ref = 'nowhere' }}".format(address))
        message = self.fails("source_failed", "deploy", *PRODUCTION)["error"]
        self.assertIn("no branch, tag or commit 'nowhere'", message)
        self.assertFalse((self.root / "current" / ".git").exists())

    def test_a_broken_mirror_is_fetched_anew(self):
        self.git("init", "--quiet")
        self.git("checkout", "--quiet", "-b", "main")
        self.commit("1")
        self.configure(source="{{ git = 'file://{}', ref = 'main' }}".format(self.source))
        self.deploy()
        mirror = self.root / ".devops" / "source.git"
        self.commit("2")
        (mirror / "refs" / "heads" / "main.lock").touch()
        (mirror / "HEAD").write_text("")
        self.deploy()
        self.assertEqual(self.current(), "2")

    def test_a_password_in_an_address_is_not_shown(self):
        self.configure(source="{ git = 'http://me:secret@127.0.0.1:1/x.git', ref = 'main' }")
        for words in (("list",), ("status",) + SHOP):
            self.assertNotIn("secret", str(self.succeeds(*words)))
        self.assertNotIn("secret", str(self.fails("source_failed", "deploy", *PRODUCTION)))

    def tarball(self, members):
        path = self.place / "app.tar.gz"
        with tarfile.open(str(path), "w:gz") as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                if isinstance(content, bytes):
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
                else:
                    info.type, info.linkname = tarfile.SYMTYPE, content
                    tar.addfile(info)
        return path

    def test_a_tarball_is_unpacked(self):
        path = self.tarball([("shop-1/version", b"1"), ("shop-1/bin/run", b"")])
        self.configure(source="{{ tarball = '{}', strip = 1 }}".format(path))
        self.assertRegex(self.deploy()["version"], r"^\d{8}T\d{6}Z-[0-9a-f]{8}$")
        self.assertEqual(self.current(), "1")
        path.write_bytes(b"no tarball")
        message = self.fails("source_failed", "deploy", *PRODUCTION)["error"]
        self.assertIn("was not deployed", message)
        self.assertEqual((self.current(), len(self.versions())), ("1", 1))

    def test_a_tarball_cannot_write_outside_of_its_release(self):
        outside = self.place / "outside"
        outside.mkdir()
        for members in (
            [("version", b"1"), ("../../../outside/file", b"x")],
            [("version", b"1"), ("out", str(outside)), ("out/file", b"x")],
            [("version", b"1"), (str(outside / "file"), b"x")],
        ):
            self.configure(source="{{ tarball = '{}' }}".format(self.tarball(members)))
            self.run_plugin("deploy", *PRODUCTION)
            self.assertEqual(list(outside.iterdir()), [])

    def test_a_source_that_is_not_there_changes_nothing(self):
        self.configure(source="{{ directory = '{}' }}".format(self.place / "nowhere"))
        self.assertIn("is not a directory", self.fails("source_failed", "deploy", *PRODUCTION)["error"])
        self.assertFalse((self.root / "current").is_symlink())


class Steps(Case):
    def test_a_failed_step_before_the_switch_changes_nothing(self):
        self.configure()
        first = self.deploy()["version"]
        for name in ("build", "check"):
            self.configure("{} = 'echo what went wrong; exit 3'".format(name))
            answer = self.fails("step_failed", "deploy", *PRODUCTION)
            self.assertIn(
                "{} (echo what went wrong; exit 3) failed: exit status 3; its output ends with: what went wrong".format(
                    name
                ),
                answer["error"],
            )
            self.assertEqual((answer["current"], self.versions()), (first, [first]))
        self.configure("build = ['/no/such/program']")
        self.assertIn("No such file", self.fails("step_failed", "deploy", *PRODUCTION)["error"])

    def test_a_failed_restart_goes_back(self):
        self.configure("restart = 'test $(cat version) != 2'")
        self.deploy()
        self.write("2", 200)
        self.assertIn(
            "restart (test $(cat version) != 2) failed: exit status 1",
            self.fails("rolled_back", "deploy", *PRODUCTION)["error"],
        )
        self.assertEqual(self.current(), "1")

    def test_a_first_release_that_fails_stays_since_there_is_no_other(self):
        self.configure("restart = 'exit 1'")
        self.assertIn("There is no earlier release", self.fails("unhealthy", "deploy", *PRODUCTION)["error"])
        self.assertEqual(self.current(), "1")

    def test_what_a_step_prints_is_bounded(self):
        self.configure("build = 'yes line | head -c 50000000; echo the end; exit 1'")
        answer = self.fails("step_failed", "deploy", *PRODUCTION)
        self.assertIn("the end", answer["error"])
        self.assertLess(len(answer["error"]), 4000)
        log = self.succeeds("logs", "--kind", "deploy", "--lines", "1000", *SHOP)["log"]
        self.assertIn("the end", log)
        self.assertLess(len(log), 64 * 1024 + 1)
        self.assertLess((self.root / ".devops" / "last.log").stat().st_size, 64 * 1024)

    def test_a_step_that_takes_too_long_is_ended_with_all_it_started(self):
        alive = self.place / "alive"
        os.mkfifo(str(alive))
        reader = os.open(str(alive), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.configure(
            "step_timeout = 5\nbuild = 'trap \"\" TERM; exec 3>{}; echo begun >&3; sleep 600 & sleep 600'".format(alive)
        )
        answer = self.fails("step_failed", "deploy", *PRODUCTION)
        self.assertIn("it took longer than", answer["error"])
        self.assertEqual(os.read(reader, 100), b"begun\n")

        def is_closed():
            try:
                return os.read(reader, 100) == b""
            except BlockingIOError:
                return False

        until("nobody has the pipe open", is_closed)
        self.assertEqual(self.versions(), [])

    def test_commands_know_what_they_are_part_of_and_are_no_shell_unless_asked(self):
        self.configure(
            'build = [["touch", "$(id); x"], ["sh", "-c", "echo $APP_NAME $APP_ENVIRONMENT $MODE > told"]]\n'
            'variables = { MODE = "a b" }'
        )
        version = self.deploy()["version"]
        release = self.root / "current"
        self.assertTrue((release / "$(id); x").is_file())
        self.assertEqual((release / "told").read_text(), "shop production a b\n")
        self.assertEqual(os.readlink(str(release)), "releases/" + version)

    def test_the_last_releases_are_kept_and_never_the_current_or_the_previous_one_removed(self):
        self.configure("keep = 2")
        made = []
        for version in range(5):
            self.write(str(version), 200)
            made.append(self.deploy()["version"])
        self.assertEqual(self.versions(), sorted(made[-2:]))
        self.configure("keep = 1")
        self.succeeds("rollback", "--version", made[3], *SHOP)
        newest = self.deploy()
        self.assertEqual((self.versions(), newest["previous"]), (sorted([made[3], newest["version"]]), made[3]))

    def test_releases_with_read_only_directories_are_removed(self):
        self.configure("keep = 1\nbuild = 'mkdir -p a/b; touch a/b/c; chmod 555 a/b a .'")
        for _ in range(4):
            answer = self.deploy()
        self.assertEqual(self.versions(), sorted([answer["version"], answer["previous"]]))
        for folder in [self.root] + list(self.root.rglob("*")):
            if folder.is_dir() and not folder.is_symlink():
                folder.chmod(0o755)

    def test_a_current_that_is_no_link_is_left_alone(self):
        self.configure()
        (self.root / "current").mkdir(parents=True)
        (self.root / "current" / "precious").touch()
        self.assertIn(
            "is not a symbolic link; move it away", self.fails("bad_release_dir", "deploy", *PRODUCTION)["error"]
        )
        self.assertTrue((self.root / "current" / "precious").exists())

    def test_a_deploy_that_is_stopped_goes_back(self):
        app = self.app()
        restarted = self.place / "restarted"
        self.configure("restart = 'cp version {}'\nhealth = '{}'".format(restarted, app.url))
        first = self.deploy()["version"]
        self.write("2", 200)
        app.answers.clear()
        app.asked.clear()
        process = self.start("deploy", *PRODUCTION)
        until("the health is asked", app.asked.is_set)
        self.assertEqual((self.current(), restarted.read_text()), ("2", "2"))
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate()
        self.assertIn(b'"code": "stopped"', output, errors)
        self.assertEqual((self.current(), restarted.read_text()), ("1", "1"))
        app.answers.set()
        self.assertEqual(self.deploy()["previous"], first)


class Health(Case):
    def test_each_way_of_not_being_well_is_told(self):
        # Every app answers at once; the time is for a machine that does much else.
        self.root.mkdir()
        (self.root / "current").symlink_to(self.source)
        well, silent = self.app(), self.app()
        silent.answers.clear()
        elsewhere = self.place / "elsewhere"
        (elsewhere / "current").mkdir(parents=True)
        (elsewhere / "current" / "status").write_text("302")
        self.root = elsewhere
        redirecting = self.app()
        closed = socket.socket()
        self.addCleanup(closed.close)
        closed.bind(("127.0.0.1", 0))
        nobody = "http://127.0.0.1:{}/".format(closed.getsockname()[1])
        cases = [
            (HealthSettings(well.url, status=204), "status 200, not 204"),
            (HealthSettings(well.url, contains="well"), "its answer does not contain 'well'"),
            (HealthSettings(redirecting.url), "status 302, not 200"),
            (HealthSettings(nobody), "no answer: "),
            (HealthSettings(silent.url), "no answer"),
        ]
        with concurrent.futures.ThreadPoolExecutor(len(cases)) as pool:
            for case, seen in zip(cases, pool.map(lambda case: health.wait_until_healthy(case[0], "1", 8), cases)):
                self.assertFalse(seen["healthy"])
                self.assertIn(case[1], seen["fault"])
                self.assertLess(seen["seconds"], 60)

    def test_an_app_that_needs_time_gets_it(self):
        app = self.app()
        self.write("1", 503)
        self.configure("health = {{ url = '{}', timeout = 100 }}".format(app.url))
        process = self.start("deploy", *PRODUCTION)
        until("the health is asked", app.asked.is_set)
        (self.root / "current" / "status").write_text("200")
        output, _ = process.communicate()
        self.assertEqual(process.returncode, 0, output)


class Units(Case):
    """With programs of these names that note how they are called: no test restarts a unit of this machine."""

    def programs(self, **scripts):
        folder = self.place / "bin"
        folder.mkdir()
        for name, script in scripts.items():
            program = folder / name
            program.write_text('#!/bin/sh\necho "{} $*" >> {}\n{}\n'.format(name, self.place / "called", script))
            program.chmod(0o755)
        return "{}:{}".format(folder, os.environ["PATH"])

    def test_a_systemd_unit_is_restarted_asked_and_read(self):
        path = self.programs(
            systemctl='[ "$1" != is-active ] || { echo inactive; exit 3; }', journalctl="echo a line of the journal"
        )
        self.configure("systemd = 'shop@1.service'")
        self.deploy(PATH=path)
        status = self.succeeds("status", *SHOP, PATH=path)
        self.assertEqual(status["environments"][0]["unit"], {"name": "shop@1.service", "state": "inactive"})
        self.assertIn("a line of the journal", self.succeeds("logs", "--lines", "7", *SHOP, PATH=path)["log"])
        self.assertEqual(
            (self.place / "called").read_text().splitlines(),
            [
                "systemctl restart shop@1.service",
                "systemctl is-active shop@1.service",
                "journalctl --unit shop@1.service --lines 7 --no-pager --output short-iso",
            ],
        )

    def test_a_container_is_restarted_asked_and_read(self):
        path = self.programs(docker='[ "$1" != inspect ] || echo running; [ "$1" != logs ] || echo a line')
        self.configure("docker = 'shop'")
        self.deploy(PATH=path)
        status = self.succeeds("status", *SHOP, PATH=path)
        self.assertEqual(status["environments"][0]["unit"], {"name": "shop", "state": "running"})
        self.assertEqual(self.succeeds("logs", *SHOP, PATH=path)["log"], "a line")
        calls = (self.place / "called").read_text().splitlines()
        self.assertEqual(calls[0], "docker restart shop")
        self.assertEqual(calls[-1], "docker logs --timestamps --tail 100 shop")

    def test_a_log_file_is_read_from_its_end(self):
        log = self.place / "log"
        log.write_text("".join("line {}\n".format(number) for number in range(50000)))
        self.configure("log_file = '{}'".format(log))
        self.assertEqual(self.succeeds("logs", "--lines", "2", *SHOP)["log"], "line 49998\nline 49999")


if __name__ == "__main__":
    unittest.main()
