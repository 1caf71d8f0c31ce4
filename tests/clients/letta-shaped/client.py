"""What Letta does on the wire, without its code: a new connection for each call, watched byte by byte.

Each call is GET /sse, initialize, initialized, tools/call with a progress token and X-Agent-Id, tools/list, close.
"""

import asyncio
import http.client
import json
import re
import socket
import threading
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import session
from checks import AGENT, Refused, Result
from suite import main

REVISION = "2025-11-25"
ENDPOINT = re.compile(r"/messages/\?session_id=[0-9a-f]{32}")
# Far beyond any check: a server that never answers must not hold a thread for ever.
SILENCE = 90


class Turned(Exception):
    """The server answered GET /sse with something other than a stream."""

    def __init__(self, status: int, body: str):
        super().__init__(f"{status} {body}")
        self.status = status


class Connection:
    """One stream and the requests that are posted for it; blocking, so that it can be read from top to bottom."""

    def __init__(self, door, elicit):
        parts = urlsplit(door.url)
        self.address = (parts.hostname, parts.port)
        self.headers = {"X-Agent-Id": AGENT, **door.headers}
        self.elicit = elicit
        self.lock = threading.Lock()
        self.ids = 0
        self.seen = set()
        self.http = http.client.HTTPConnection(*self.address, timeout=SILENCE)
        self.http.connect()
        self.socket = self.http.sock
        self.http.request("GET", parts.path, headers={**self.headers, "Accept": "text/event-stream"})
        self.stream = self.http.getresponse()
        if self.stream.status != 200:
            raise Turned(self.stream.status, self.stream.read(500).decode(errors="replace"))
        content_type = self.stream.getheader("Content-Type").split(";")[0]
        assert content_type == "text/event-stream", f"the stream is {content_type}"
        assert "no-cache" in self.stream.getheader("Cache-Control", ""), "a proxy may keep the stream"
        event, self.endpoint = self.event()
        assert event == "endpoint" and ENDPOINT.fullmatch(self.endpoint), f"first event {event}: {self.endpoint}"

    def event(self) -> tuple[str, str]:
        """The next event that is no comment: its name, and its data on exactly one line."""
        fields = []
        while True:
            line = self.stream.readline()
            if not line:
                raise ConnectionError("the stream has ended")
            line = line.decode("utf-8").rstrip("\r\n")
            if line.startswith(":"):
                continue
            if line:
                fields.append(line.split(": ", 1))
            elif fields:
                assert [name for name, _ in fields] == ["event", "data"], f"an event of {fields!r:.200}"
                return fields[0][1], fields[1][1]

    def message(self) -> dict:
        event, data = self.event()
        assert event == "message", f"an event named {event}"
        message = json.loads(data)
        assert message["jsonrpc"] == "2.0", f"{message!r:.200}"
        return message

    def post(self, message: dict) -> None:
        http_ = http.client.HTTPConnection(*self.address, timeout=30)
        body = json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False).encode()
        http_.request("POST", self.endpoint, body, {**self.headers, "Content-Type": "application/json"})
        answer = http_.getresponse()
        status, text = answer.status, answer.read().decode()
        http_.close()
        assert (status, text) == (202, "Accepted"), f"{message.get('method')} is answered with {status} {text:.200}"

    def send(self, method: str, params: dict) -> int:
        with self.lock:
            self.ids += 1
            number = self.ids
        self.post({"id": number, "method": method, "params": params})
        return number

    def request(self, method: str, params: dict, on_progress=None) -> dict:
        return self.answer(self.send(method, params), on_progress)

    def answer(self, number: int, on_progress=None) -> dict:
        """Reads until the answer to one request; what comes for the others in between is a fault."""
        while True:
            message = self.message()
            if message.get("method") == "elicitation/create":
                self.reply(message)
            elif message.get("method") == "notifications/progress":
                told = message["params"]
                assert told["progressToken"] == f"token-{number}", f"progress for {told['progressToken']!r}"
                if on_progress:
                    on_progress(told["progress"], told["total"], told["message"])
            elif "method" not in message:
                assert message["id"] == number, f"an answer to {message['id']!r} instead of {number}"
                assert number not in self.seen, f"a second answer to {number}"
                self.seen.add(number)
                return message

    def reply(self, question: dict) -> None:
        params = question["params"]
        action, content = self.elicit(params["message"], params["requestedSchema"])
        given = {"action": action} | ({"content": content} if content else {})
        self.post({"id": question["id"], "result": given})

    def initialize(self) -> dict:
        capabilities = {"elicitation": {}} if self.elicit else {}
        client = {"name": "letta-shaped", "version": "1"}
        params = {"protocolVersion": REVISION, "capabilities": capabilities, "clientInfo": client}
        hello = self.request("initialize", params)["result"]
        self.post({"method": "notifications/initialized"})
        return hello

    def begin_call(self, name: str, arguments: dict) -> int:
        token = {"progressToken": f"token-{self.ids + 1}"}
        return self.send("tools/call", {"name": name, "arguments": arguments, "_meta": token})

    def list(self) -> list[dict]:
        return self.request("tools/list", {})["result"]["tools"]

    def close(self) -> None:
        # A thread may be reading from the stream, and a mere close would wait for it.
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.stream.close()
        self.http.close()


class Session(session.Session):
    """Not one connection but the habit of opening one for each thing to do."""

    def __init__(self, door, elicit):
        self.door = door
        self.elicit = elicit
        self.open_now: list[Connection] = []

    def connection(self) -> Connection:
        connection = Connection(self.door, self.elicit)
        self.open_now.append(connection)
        return connection

    def introduce(self) -> None:
        connection = self.connection()
        hello = connection.initialize()
        connection.close()
        self.revision = hello["protocolVersion"]
        self.server_name = hello["serverInfo"]["name"]

    async def tools(self):
        def run():
            connection = self.connection()
            connection.initialize()
            tools = connection.list()
            connection.close()
            return tools

        return await asyncio.to_thread(run)

    async def call(self, name, arguments, on_progress=None):
        def run():
            connection = self.connection()
            connection.initialize()
            message = connection.answer(connection.begin_call(name, arguments), on_progress)
            tools = connection.list()
            connection.close()
            assert len(tools) > 1, "the tools are not listed after a call"
            return message

        message = await asyncio.to_thread(run)
        if error := message.get("error"):
            raise Refused(error["code"], error["message"])
        result = message["result"]
        return Result(result["content"], result.get("isError", False), result.get("structuredContent"))

    async def abandon(self, name, arguments, started):
        connection = await asyncio.to_thread(self.connection)
        await asyncio.to_thread(connection.initialize)
        number = await asyncio.to_thread(connection.begin_call, name, arguments)
        await started()
        cancelled = {"method": "notifications/cancelled", "params": {"requestId": number, "reason": "no longer wanted"}}
        await asyncio.to_thread(connection.post, cancelled)
        # A second time, and for a call that never was: neither may be answered either.
        await asyncio.to_thread(connection.post, cancelled)
        await asyncio.to_thread(connection.post, {"method": "notifications/cancelled", "params": {"requestId": 9999}})
        await asyncio.sleep(1)
        # What comes next on this stream is the answer to the ping, or `answer` finds a fault.
        await asyncio.to_thread(connection.request, "ping", {})
        await asyncio.to_thread(connection.close)
        return False


class Client(session.Client):
    @staticmethod
    def revision(_door) -> str:
        return REVISION

    @staticmethod
    def unauthorized(error) -> bool:
        return isinstance(error, Turned) and error.status == 401

    @asynccontextmanager
    async def connect(self, door, elicit=None):
        session = Session(door, elicit)
        await asyncio.to_thread(session.introduce)
        try:
            yield session
        finally:
            for connection in session.open_now:
                connection.close()


if __name__ == "__main__":
    main(Client())
