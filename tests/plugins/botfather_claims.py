"""Talking to a bot, with a client in Telethon's place that keeps its own conversation; and what is said without
credentials, called through a real server."""

import asyncio
import contextlib
import io
import json
import sys
import unittest
from unittest import mock

from harness import PLUGINS, Case, Server

sys.path.insert(0, str(PLUGINS / "botfather"))
import cli  # noqa: E402
import telegram  # noqa: E402


class KeyboardButton:
    """The kind of a button that sends its text, under Telethon's name."""


class ButtonTypeRequestPhone(KeyboardButton):
    """The kind of a button that gives the user's number away."""


class Button:
    def __init__(self, text, click=None, data=None, url=None, kind=KeyboardButton):
        self.text, self.data, self.url, self.button = text, data, url, kind()
        self._click = click

    async def click(self):
        return await self._click()


class Message:
    date = None

    def __init__(self, number, text, out=False, buttons=None):
        self.id, self.raw_text, self.out, self.buttons = number, text, out, buttons


class FloodWaitError(Exception):
    seconds = 77


class AuthKeyUnregisteredError(Exception):
    pass


class Client:
    """A conversation. `answers` is called with each text that is sent, and with each button that is clicked."""

    def __init__(self, messages=(), answers=None, authorized=True):
        self.messages = {message.id: message for message in messages}
        self.answers = answers or (lambda text: None)
        self.authorized = authorized
        self.connected = False
        self.was_disconnected = False
        self.fails = {}
        self.hangs = None
        self.calls = []

    async def _called(self, name):
        self.calls.append(name)
        if self.hangs == name:
            await asyncio.Event().wait()
        if name in self.fails:
            raise self.fails[name]

    def add(self, text, out=False, buttons=None):
        message = Message(max(self.messages, default=0) + 1, text, out, buttons)
        self.messages[message.id] = message
        return message

    async def connect(self):
        await self._called("connect")
        self.connected = True

    async def disconnect(self):
        await self._called("disconnect")
        self.was_disconnected = True

    async def is_user_authorized(self):
        return self.authorized

    async def get_input_entity(self, name):
        await self._called("get_input_entity")
        return "entity of " + name

    async def get_messages(self, chat, limit=None, ids=None, min_id=0):
        await self._called("get_messages")
        assert chat == "entity of BotFather", chat
        if ids is not None:
            return self.messages.get(ids)
        found = [self.messages[number] for number in sorted(self.messages, reverse=True) if number > min_id]
        return found[:limit]

    async def send_message(self, chat, text, parse_mode):
        await self._called("send_message")
        assert (chat, parse_mode) == ("entity of BotFather", None)
        sent = self.add(text, out=True)
        self.answers(text)
        return sent


def run(client, *words):
    """The exit status and the JSON of a call with this client."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = cli.main(list(words), make_client=lambda: client)
    return status, json.loads(output.getvalue())


class Talk(unittest.TestCase):
    def succeeds(self, client, *words):
        status, answer = run(client, *words)
        self.assertEqual((status, answer["ok"]), (0, True), answer)
        self.assertTrue(client.was_disconnected)
        return answer

    def fails(self, client, code, *words):
        status, answer = run(client, *words)
        self.assertEqual((status, answer["ok"], answer["code"]), (1, False, code), answer)
        self.assertTrue(client.was_disconnected)
        return answer

    def test_messages_are_listed_with_their_buttons(self):
        buttons = [[Button("Yes", data=b"y"), Button("Help", url="https://example.org/")], [Button("Skip")]]
        client = Client([Message(1, "hello", out=True), Message(2, "Which bot?", buttons=buttons)])
        answer = self.succeeds(client, "list-messages")
        kinds = [[(one["text"], one["kind"]) for one in row] for row in answer["messages"][0]["buttons"]]
        self.assertEqual(kinds, [[("Yes", "callback"), ("Help", "url")], [("Skip", "text")]])
        self.assertEqual(
            [(one["id"], one["from"], one["text"]) for one in answer["messages"]],
            [(2, "bot", "Which bot?"), (1, "me", "hello")],
        )
        self.assertEqual(len(self.succeeds(client, "list-messages", "--limit", "1")["messages"]), 1)

    def test_a_message_is_sent_and_its_answer_returned(self):
        client = Client([Message(1, "an older one")])
        client.answers = lambda text: client.add("you said " + text)
        answer = self.succeeds(client, "send-message", "--message", "*/newbot*")
        self.assertEqual(
            (answer["sent"]["text"], [one["text"] for one in answer["replies"]]), ("*/newbot*", ["you said */newbot*"])
        )

    def test_without_an_answer_there_are_no_replies(self):
        self.assertEqual(self.succeeds(Client(), "send-message", "--message", "hi", "--wait", "0")["replies"], [])

    def test_a_message_that_was_sent_is_no_failure_when_its_answer_cannot_be_read(self):
        client = Client()
        client.fails = {"get_messages": FloodWaitError()}
        answer = self.succeeds(client, "send-message", "--message", "hi")
        self.assertEqual(
            (answer["sent"]["text"], answer["fault"]), ("hi", "Telegram asks to wait 77 s; try again after that")
        )

    def test_a_message_that_cannot_be_sent_is_refused_before_anything_is_connected(self):
        for text in ("", "  ", "x" * 4097):
            client = Client()
            status, answer = run(client, "send-message", "--message", text)
            self.assertEqual((status, answer["code"], client.calls), (1, "bad_message", []))

    def test_a_clicked_button_answers_with_its_notice_and_the_edited_message(self):
        client = Client()

        async def click():
            message.raw_text = "Deleted."
            message.buttons = None
            return mock.Mock(message="done", url=None)

        message = client.add("Delete?", buttons=[[Button("No", data=b"n"), Button("Yes, delete", click, data=b"y")]])
        answer = self.succeeds(client, "click-button", "--button-text", "yes,  delete", "--msg-id", "1")
        self.assertEqual((answer["clicked"], answer["notice"], answer["edited"]), ("Yes, delete", "done", True))
        self.assertEqual(
            (answer["message"]["text"], answer["message"]["buttons"], answer["replies"]), ("Deleted.", [], [])
        )

    def test_a_button_of_the_keyboard_sends_its_text(self):
        client = Client()
        client.answers = lambda text: client.add("you chose " + text)
        client.add(
            "Choose", buttons=[[Button("Skip", lambda: client.send_message("entity of BotFather", "Skip", None))]]
        )
        answer = self.succeeds(client, "click-button", "--button-text", "Skip", "--msg-id", "1")
        self.assertEqual([one["text"] for one in answer["replies"]], ["you chose Skip"])

    def test_a_link_is_returned_and_not_opened(self):
        client = Client([Message(1, "read", buttons=[[Button("Docs", url="https://example.org/docs")]])])
        answer = self.succeeds(client, "click-button", "--button-text", "Docs", "--msg-id", "1")
        self.assertEqual(answer["url"], "https://example.org/docs")

    def test_what_cannot_be_clicked_is_told_with_what_can(self):
        same = [[Button("A", data=b"1"), Button("A", data=b"2"), Button("b", data=b"3"), Button("B ", data=b"4")]]
        phone = [[Button("My number", kind=ButtonTypeRequestPhone)]]
        messages = [Message(1, "plain"), Message(2, "two", buttons=same), Message(3, "phone", buttons=phone)]
        cases = [
            ("9", "A", "no_such_message", "there is no message 9"),
            ("1", "A", "no_buttons", "message 1 has no buttons"),
            ("2", "C", "no_such_button", "message 2 has no button 'C'; its buttons are 'A', 'A', 'b', 'B '"),
            ("2", "A", "ambiguous_button", "message 2 has 2 buttons 'A'"),
            ("2", "B", "ambiguous_button", "message 2 has 2 buttons 'B'"),
            ("3", "My number", "other_button", "of the kind ButtonTypeRequestPhone"),
        ]
        for number, text, code, expected in cases:
            answer = self.fails(Client(messages), code, "click-button", "--button-text", text, "--msg-id", number)
            self.assertIn(expected, answer["error"])

    def test_errors_of_telegram_are_put_into_words(self):
        class SubError(AuthKeyUnregisteredError):
            pass

        cases = [
            ("get_input_entity", FloodWaitError(), "flood_wait", "asks to wait 77 s"),
            ("connect", SubError(), "bad_session", "log in again"),
            (
                "connect",
                ConnectionError("Connection to Telegram failed 2 time(s)"),
                "no_connection",
                "cannot be reached",
            ),
            ("connect", TimeoutError("timed out"), "no_connection", "cannot be reached"),
            ("get_messages", RuntimeError("odd"), "telegram_error", "RuntimeError: odd"),
        ]
        for where, fault, code, expected in cases:
            client = Client()
            client.fails = {where: fault}
            self.assertIn(expected, self.fails(client, code, "list-messages")["error"])

    def test_a_session_that_is_not_logged_in_is_told(self):
        self.assertIn("not logged in", self.fails(Client(authorized=False), "bad_session", "list-messages")["error"])

    def test_every_call_ends_in_time_also_when_the_good_bye_hangs(self):
        for where in ("connect", "get_messages"):
            client = Client()
            client.hangs = where
            with mock.patch.object(telegram, "LIMIT", 0.05):
                self.assertIn("did not answer within", self.fails(client, "timeout", "list-messages")["error"])
        client = Client()
        client.hangs = "disconnect"
        with mock.patch.object(telegram, "GOODBYE_LIMIT", 0.05):
            status, answer = run(client, "list-messages")
        self.assertEqual((status, answer["messages"]), (0, []))


class Served(Case):
    def test_without_credentials_and_without_telethon_it_is_listed_and_says_what_to_do(self):
        server = Server(self, plugins=("botfather",))
        tools = {name: tool for name, tool in server.tools().items() if name.startswith("botfather__")}
        required = {name: tool["inputSchema"].get("required", []) for name, tool in tools.items()}
        expected = {"click-button": ["button-text", "msg-id"], "send-message": ["message"], "list-messages": []}
        self.assertEqual(required, {"botfather__" + name: names for name, names in expected.items()})
        for tool, arguments in (
            ("send-message", {"message": "hi"}),
            ("click-button", {"button_text": "a", "msg_id": 1}),
            ("list-messages", {}),
        ):
            failed, message, _ = server.call("botfather__" + tool, **arguments)
            self.assertTrue(failed)
            self.assertIn("TELEGRAM_API_ID, TELEGRAM_API_HASH, TELEGRAM_SESSION; ", message)

    def test_what_is_not_installed_is_named_with_the_command_that_installs_it(self):
        variables = {"TELEGRAM_API_ID": "1", "TELEGRAM_API_HASH": "a", "TELEGRAM_SESSION": "b"}
        with mock.patch.dict("os.environ", variables), mock.patch.dict(sys.modules, {"telethon": None}):
            with self.assertRaises(telegram.Failure) as raised:
                telegram.telethon_client()
        self.assertEqual(raised.exception.code, "not_installed")
        self.assertRegex(
            raised.exception.message, r"run: \S+ -m pip install -r \S+/plugins/botfather/requirements\.txt"
        )

    def test_a_number_that_is_none_is_refused(self):
        for number in ("abc", "-1", "0", "99999999999", "１"):
            variables = {"TELEGRAM_API_ID": number, "TELEGRAM_API_HASH": "a", "TELEGRAM_SESSION": "b"}
            with mock.patch.dict("os.environ", variables), self.assertRaises(telegram.Failure) as raised:
                telegram.telethon_client()
            self.assertEqual(raised.exception.code, "bad_credentials", number)


if __name__ == "__main__":
    unittest.main()
