"""Deploying through a real server: what a client sees, and what is on the disk."""

import json
import threading
import unittest

from harness import Case, Server, until

APP = {"app_name": "shop", "environment": "production"}


class Served(Case):
    def serve(self, text="", **health):
        app = self.app()
        health = dict({"url": app.url, "timeout": 30}, **health)
        inline = ", ".join("{} = {}".format(name, json.dumps(value)) for name, value in health.items())
        self.configure("health = {{ {} }}\n{}".format(inline, text))
        return app, Server(self)

    def hurry(self):
        """As much time as a healthy app needs on a busy machine, and no more."""
        settings = self.place / "apps.toml"
        settings.write_text(settings.read_text().replace("timeout = 30", "timeout = 10"))

    def deployed(self, server):
        failed, answer, _ = server.call("devops__deploy", **APP)
        self.assertFalse(failed, answer)
        return answer

    def test_a_release_is_made_current_and_every_step_is_reported(self):
        _, server = self.serve('build = "echo $APP_VERSION > built"', contains="{version}")
        failed, answer, progress = server.call("devops__deploy", **APP)
        self.assertFalse(failed, answer)
        self.assertEqual(self.current(), "1")
        built = (self.root / "current" / "built").read_text().strip()
        self.assertEqual((answer["version"], answer["previous"], answer["health"]["healthy"]), (built, None, True))
        names = [step["step"] for step in answer["steps"]]
        self.assertEqual(names, ["source", "fetch", "build", "switch", "health"])
        self.assertEqual([each["progress"] for each in progress], list(range(5)))
        self.assertEqual({each["total"] for each in progress}, {5})

    def test_a_release_that_is_not_healthy_is_rolled_back(self):
        _, server = self.serve()
        first = self.deployed(server)["version"]
        # Now there is something to go back to, a short time is enough to see what is wrong for good.
        self.hurry()
        self.write("2", 500)
        failed, message, _ = server.call("devops__deploy", **APP)
        self.assertTrue(failed)
        for part in ("status 500, not 200", "Rolled back: {} is current again, which is healthy".format(first)):
            self.assertIn(part, message)
        self.assertEqual(self.current(), "1")
        _, answer, _ = server.call("devops__status", app_name="shop")
        (shop,) = answer["environments"]
        self.assertEqual((shop["version"], shop["running"], shop["health"]["healthy"]), (first, None, True))
        self.assertEqual(shop["last"]["outcome"], "rolled back")
        self.assertIn("status 500", [one for one in shop["releases"] if not one["current"]][0]["failed"])
        self.write("3", 200)
        answer = self.deployed(server)
        self.assertEqual((self.current(), answer["previous"]), ("3", first))
        self.assertEqual(self.versions(), sorted([first, answer["version"]]), "the failed release is gone")

    def test_an_earlier_release_is_made_current_again(self):
        _, server = self.serve()
        first = self.deployed(server)["version"]
        self.write("2", 200)
        second = self.deployed(server)["version"]
        self.assertEqual(self.current(), "2")
        failed, answer, _ = server.call("devops__rollback", app_name="shop", version=first)
        self.assertFalse(failed, answer)
        self.assertEqual((self.current(), answer["version"], answer["previous"]), ("1", first, second))
        failed, answer, _ = server.call("devops__rollback", app_name="shop", version=first)
        self.assertEqual((failed, answer["changed"]), (False, False))
        failed, answer, _ = server.call("devops__rollback", app_name="shop", version="previous")
        self.assertEqual((failed, answer["version"], self.current()), (False, second, "2"))
        for version in ("../../etc", "-rf", "; touch /tmp/x", "20000101T000000Z"):
            failed, message, _ = server.call("devops__rollback", app_name="shop", version=version)
            self.assertTrue(failed)
            self.assertIn("has no release {!r}; it has {}, {}".format(version, second, first), message)
        self.assertEqual(self.current(), "2")

    def test_the_tools_say_what_they_change(self):
        _, server = self.serve()
        tools = {name: tool for name, tool in server.tools().items() if name.startswith("devops__")}
        hints = {
            name: (tool["annotations"]["readOnlyHint"], tool["annotations"]["destructiveHint"])
            for name, tool in tools.items()
        }
        changing, reading = (False, True), (True, False)
        expected = {"deploy": changing, "rollback": changing, "status": reading, "list": reading, "logs": reading}
        self.assertEqual(hints, {"devops__" + name: hint for name, hint in expected.items()})
        self.assertEqual(tools["devops__deploy"]["inputSchema"]["required"], ["app-name", "environment"])
        self.assertEqual(tools["devops__rollback"]["inputSchema"]["required"], ["app-name", "version"])

    def test_apps_and_logs_are_shown(self):
        _, server = self.serve('check = ["sh", "-c", "echo it was checked"]')
        failed, answer, _ = server.call("devops__list")
        self.assertFalse(failed, answer)
        (shop,) = answer["apps"]
        self.assertEqual((shop["app"], shop["environments"][0]["version"]), ("shop", None))
        version = self.deployed(server)["version"]
        _, answer, _ = server.call("devops__list")
        self.assertEqual(answer["apps"][0]["environments"][0]["version"], version)
        failed, answer, _ = server.call("devops__logs", app_name="shop", kind="deploy")
        self.assertFalse(failed, answer)
        self.assertIn("it was checked", answer["log"])
        failed, message, _ = server.call("devops__logs", app_name="shop")
        self.assertTrue(failed)
        self.assertIn("set log_file, systemd or docker", message)

    def test_two_deploys_at_once_do_not_mix(self):
        started, go = self.place / "started", self.place / "go"
        _, server = self.serve('build = "touch {}; while ! test -e {}; do sleep 0.02; done"'.format(started, go))
        answers = []
        first = threading.Thread(target=lambda: answers.append(server.call("devops__deploy", **APP)))
        first.start()
        try:
            until("the first deploy builds", started.exists)
            for tool, more in (("deploy", {"environment": "production"}), ("rollback", {"version": "previous"})):
                failed, message, _ = server.call("devops__" + tool, app_name="shop", **more)
                self.assertTrue(failed)
                self.assertIn("is being changed by another call (deploy since ", message)
            _, answer, _ = server.call("devops__status", app_name="shop")
            running = answer["environments"][0]["running"]
            self.assertEqual((running["action"], running["step"]), ("deploy", "build"))
        finally:
            go.touch()
            first.join()
        failed, answer, _ = answers[0]
        self.assertFalse(failed, answer)
        self.assertEqual(self.versions(), [answer["version"]])

    def test_a_deploy_whose_process_is_killed_by_one_of_its_steps_is_put_in_order_by_the_next(self):
        fatal = self.place / "fatal"
        kill = 'test \\"$(cat {} 2>/dev/null)\\" != {} || kill -9 $PPID'
        text = "\n".join('{0} = "{1}"'.format(step, kill.format(fatal, step)) for step in ("build", "check", "restart"))
        _, server = self.serve(text)
        first = self.deployed(server)["version"]
        for step in ("build", "check", "restart"):
            fatal.write_text(step)
            self.write("after " + step, 200)
            failed, _, _ = server.call("devops__deploy", **APP)
            self.assertTrue(failed)
            self.assertEqual(self.current(), "after restart" if step == "restart" else "1")
            _, answer, _ = server.call("devops__status", app_name="shop")
            self.assertEqual(answer["environments"][0]["interrupted"]["step"], step)
        fatal.unlink()
        self.write("4", 500)
        self.hurry()
        failed, message, _ = server.call("devops__deploy", **APP)
        self.assertTrue(failed)
        # What was current had never been seen healthy: going back leads to the release before it.
        self.assertIn("Rolled back: {} is current again".format(first), message)
        self.write("5", 200)
        answer = self.deployed(server)
        self.assertEqual((self.current(), answer["previous"]), ("5", first))


if __name__ == "__main__":
    unittest.main()
