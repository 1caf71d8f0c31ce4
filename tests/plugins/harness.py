"""What the tests of the bundled plugins need: a directory of an app, its web server, and a client of a real smcp."""

import http.client
import http.server
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
#: Seconds until a test gives up waiting; nothing takes that long on a machine that does anything at all.
LIMIT = 120


def until(what, look):
    """Looks until there is something to see."""
    deadline = time.monotonic() + LIMIT
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError("not within {} s: {}".format(LIMIT, what))
        time.sleep(0.01)


class App(http.server.ThreadingHTTPServer):
    """A web server that answers with what the current release says: `status` and `version` are files of it."""

    daemon_threads = True

    def __init__(self, release_dir):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.current = pathlib.Path(release_dir) / "current"
        #: Set when requests may be answered.
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:{}/health".format(self.server_address[1])

    def close(self):
        self.answers.set()
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.set()
        self.server.answers.wait(LIMIT)
        try:
            status = int((self.server.current / "status").read_text())
            body = self.server.current.resolve().name.encode()
        except OSError:
            status, body = 503, b"no release"
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # who asked has gone

    def log_message(self, *_):
        pass


class Case(unittest.TestCase):
    """A test with a place for an app: `self.place/source`, `self.place/releases`, `self.place/apps.toml`."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name).resolve()
        self.source = self.place / "source"
        self.source.mkdir()
        self.root = self.place / "root"
        self.write("1", 200)

    def app(self):
        app = App(self.root)
        self.addCleanup(app.close)
        return app

    def write(self, version, status):
        """What the next release is made of."""
        (self.source / "version").write_text(version)
        (self.source / "status").write_text(str(status))

    def configure(self, text="", source=None, environment="production"):
        lines = [
            "[apps.shop.environments.{}]".format(environment),
            "release_dir = {}".format(json.dumps(str(self.root))),
            "source = {}".format(source or "{{ directory = {} }}".format(json.dumps(str(self.source)))),
            text,
        ]
        path = self.place / "apps.toml"
        path.write_text("\n".join(lines))
        return path

    def variables(self, **more):
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "LLVM_PROFILE_FILE") if name in os.environ}
        return dict(keep, **dict({"HOME": str(self.place), "DEVOPS_APPS": str(self.place / "apps.toml")}, **more))

    def start(self, *words, **more):
        """The plugin as a process, called as the server calls it."""
        return subprocess.Popen(
            [sys.executable, "-B", str(PLUGINS / "devops" / "cli.py")] + list(words),
            env=self.variables(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run_plugin(self, *words, **more):
        """The exit status and the JSON of a call."""
        process = self.start(*words, **more)
        output, errors = process.communicate(timeout=LIMIT)
        try:
            return process.returncode, json.loads(output)
        except ValueError:
            raise AssertionError("{}: {!r} {!r}".format(words, output, errors))

    def succeeds(self, *words, **more):
        status, answer = self.run_plugin(*words, **more)
        self.assertEqual((status, answer["ok"]), (0, True), answer)
        return answer

    def fails(self, code, *words, **more):
        status, answer = self.run_plugin(*words, **more)
        self.assertEqual((status, answer["ok"], answer["code"]), (1, False, code), answer)
        return answer

    def deploy(self, **more):
        return self.succeeds("deploy", "--app-name", "shop", "--environment", "production", **more)

    def current(self):
        """The content of the current release, which is whole: never none."""
        return (self.root / "current" / "version").read_text()

    def versions(self):
        return sorted(entry.name for entry in (self.root / "releases").iterdir())


class Server:
    """A running smcp that serves the two plugins, and one session with it."""

    def __init__(self, case, plugins=("devops",), **variables):
        folder = case.place / "plugins"
        folder.mkdir()
        for name in plugins:
            (folder / name).symlink_to(PLUGINS / name)
        self._process = subprocess.Popen(
            [os.environ["SMCP"], "serve", "--plugins-dir", str(folder), "--port", "0", "--no-cache"],
            env=dict(case.variables(MCP_DISABLE_FILE_LOG="1", MCP_PLUGIN_ENVS="off", PYTHONDONTWRITEBYTECODE="1"), **variables),
            cwd=str(case.place),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        case.addCleanup(self.close)
        first = self._process.stdout.readline().decode()
        self.address = first.strip().rpartition("http://")[2]
        case.assertRegex(self.address, r"^127\.0\.0\.1:\d+$", first)
        # Nobody reads the rest; the pipe holds it.
        self.session = None
        self._numbers = itertools.count(1)
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
        self._send({"jsonrpc": "2.0", "id": next(self._numbers), "method": "initialize", "params": hello})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def close(self):
        self._process.terminate()
        try:
            self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()

    def tools(self):
        messages = self._send({"jsonrpc": "2.0", "id": next(self._numbers), "method": "tools/list"})
        return {tool["name"]: tool for tool in messages[-1]["result"]["tools"]}

    def call(self, tool, **arguments):
        """Whether it failed, its JSON or the text of its error, and its progress. `app_name` stands for `app-name`."""
        arguments = {name.replace("_", "-"): value for name, value in arguments.items()}
        params = {"name": tool, "arguments": arguments, "_meta": {"progressToken": "p"}}
        messages = self._send({"jsonrpc": "2.0", "id": next(self._numbers), "method": "tools/call", "params": params})
        result = messages[-1]["result"]
        progress = [each["params"] for each in messages if each.get("method") == "notifications/progress"]
        text = result["content"][0]["text"]
        failed = result.get("isError", False)
        return failed, text if failed else json.loads(text), progress

    def _send(self, message):
        connection = http.client.HTTPConnection(self.address, timeout=LIMIT)
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        try:
            connection.request("POST", "/mcp", json.dumps(message), headers)
            answer = connection.getresponse()
            body = answer.read().decode()
            self.session = answer.getheader("Mcp-Session-Id") or self.session
            if answer.getheader("Content-Type", "").startswith("text/event-stream"):
                lines = [line[5:] for line in body.splitlines() if line.startswith("data:")]
                return [json.loads(line) for line in lines if line.strip()]
            return [json.loads(body)] if body.strip() else []
        finally:
            connection.close()
