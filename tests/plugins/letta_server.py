"""A server that is like Letta as far as prompts go: what it is asked must fit the types of letta-client."""

import http.server
import json
import re
import threading

import pydantic
from letta_client.types import tool_upsert_params
from letta_client.types.agents import message_create_async_params

MESSAGE = pydantic.TypeAdapter(message_create_async_params.Message)
KEY = "the-key"
AGENT = "agent-00000000-0000-4000-8000-000000000001"


class LettaServer(http.server.ThreadingHTTPServer):
    """Counts the prompts that it gets, and answers them as `respond` says."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), _Handler)
        self.lock = threading.Lock()
        #: The agent and the text of each prompt, in their order.
        self.prompts = []
        #: What did not fit.
        self.misfits = []
        #: A status, or `hang up`: what becomes of prompts, after they have arrived.
        self.respond = 200
        self.uploaded = []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self):
        return "http://127.0.0.1:{}".format(self.server_address[1])

    def close(self):
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if not self._may():
            return
        path = self.path.split("?")[0].rstrip("/")
        if path == "/v1/agents":
            return self._answer(200, [_agent()])
        if path == "/v1/agents/" + AGENT:
            return self._answer(200, _agent())
        self._answer(404, {"detail": "Agent not found"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        match = re.fullmatch(r"/v1/agents/([^/]+)/messages/async/?", self.path)
        if not match:
            return self._answer(404, {"detail": "Not Found"})
        self._check(message_create_async_params.MessageCreateAsyncParams, body)
        for message in body["messages"]:
            self._fits(message)
        with self.server.lock:
            self.server.prompts.append((match.group(1), body["messages"][0]["content"]))
        if self.server.respond == "hang up":
            self.close_connection = True
            return
        if self.server.respond != 200:
            return self._answer(self.server.respond, {"detail": "as the test wishes"})
        self._answer(200, {"id": "run-1", "agent_id": match.group(1), "status": "created"})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return
        self._check(tool_upsert_params.ToolUpsertParams, body)
        self.server.uploaded.append(body)
        name = re.search(r"def (\w+)", body["source_code"])
        if not name:
            return self._answer(422, {"detail": "no function"})
        self._answer(200, {"id": "tool-1", "name": name.group(1)})

    def _check(self, params, body):
        unknown = set(body) - set(params.__annotations__)
        if unknown:
            self.server.misfits.append("{} is not in {}".format(unknown, params.__name__))

    def _fits(self, message):
        try:
            MESSAGE.validate_python(message, strict=True)
        except pydantic.ValidationError as fault:
            self.server.misfits.append(str(fault))

    def _may(self):
        may = self.headers.get("Authorization") == "Bearer " + KEY
        if not may:
            self._answer(401, {"detail": "Unauthorized"})
        return may

    def _answer(self, status, body):
        body = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # who asked has gone

    def log_message(self, *_):
        pass


def _agent():
    return {
        "id": AGENT,
        "name": "helper",
        "agent_type": "memgpt_v2_agent",
        "blocks": [],
        "llm_config": {"model": "m", "context_window": 8192, "model_endpoint_type": "openai"},
        "memory": {"blocks": []},
        "sources": [],
        "system": "",
        "tags": [],
        "tools": [],
    }
