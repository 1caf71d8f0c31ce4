"""What the plugin uses of Telethon, held against Telethon itself: names, arguments, kinds of buttons."""

import asyncio
import inspect
import os
import sys
import unittest
from unittest import mock

from harness import PLUGINS

sys.path.insert(0, str(PLUGINS / "botfather"))
import failures  # noqa: E402
import telegram  # noqa: E402
import telethon  # noqa: E402
from telethon import TelegramClient, errors, types  # noqa: E402
from telethon.crypto import AuthKey  # noqa: E402
from telethon.sessions import StringSession  # noqa: E402
from telethon.tl import custom  # noqa: E402


def session():
    """A session string as Telethon writes one, of a key that no account has."""
    made = StringSession()
    made.set_dc(2, "127.0.0.1", 1)
    made.auth_key = AuthKey(bytes(range(256)))
    return made.save()


def variables(**more):
    return mock.patch.dict(
        os.environ, dict({"TELEGRAM_API_ID": "1", "TELEGRAM_API_HASH": "a", "TELEGRAM_SESSION": session()}, **more)
    )


class Telethon(unittest.TestCase):
    def takes(self, function, *arguments, **named):
        inspect.signature(function).bind(None, *arguments, **named)

    def test_the_methods_take_what_they_are_given(self):
        self.takes(TelegramClient.connect)
        self.takes(TelegramClient.disconnect)
        self.takes(TelegramClient.is_user_authorized)
        self.takes(TelegramClient.get_input_entity, "BotFather")
        self.takes(TelegramClient.send_message, "chat", "text", parse_mode=None)
        self.takes(TelegramClient.get_messages, "chat", limit=10, min_id=1)
        self.takes(TelegramClient.get_messages, "chat", ids=1)
        self.takes(custom.MessageButton.click)

    def test_messages_and_buttons_have_the_members_that_are_read(self):
        for member in ("id", "out", "raw_text", "buttons", "date"):
            self.assertTrue(
                hasattr(types.Message(id=1, peer_id=types.PeerUser(1), date=None, message="text"), member), member
            )
        for member in ("text", "data", "url", "click"):
            self.assertTrue(hasattr(custom.MessageButton, member), member)
        answer = types.messages.BotCallbackAnswer(cache_time=0, message="done", url="https://example.org/")
        self.assertEqual((answer.message, answer.url), ("done", "https://example.org/"))

    def test_the_errors_have_the_names_that_are_known(self):
        for name in failures.ERRORS:
            self.assertTrue(issubclass(getattr(errors, name), Exception), name)
        self.assertEqual(failures.in_words(errors.FloodWaitError(None, capture=33)).details, {"seconds": 33})
        self.assertEqual(failures.in_words(errors.AuthKeyUnregisteredError(None)).code, "bad_session")

    def test_a_button_of_each_kind_is_known(self):
        def button(original):
            return custom.MessageButton(None, original, None, None, 1)

        cases = [
            ("text", telethon.Button.text("a")),
            ("callback", telethon.Button.inline("a", b"x")),
            ("url", telethon.Button.url("a", "https://example.org/")),
        ]
        for kind, made in cases:
            self.assertEqual(telegram.kind_of(button(getattr(made, "button", made))), kind)
        phone = telethon.Button.request_phone("a")
        self.assertNotIn(telegram.kind_of(button(getattr(phone, "button", phone))), ("text", "callback", "url"))

    def test_a_client_is_made_of_the_environment(self):
        async def made():
            return telegram.telethon_client()

        with variables():
            self.assertIsInstance(asyncio.run(made()), TelegramClient)
        for broken in ("x", "1", "1abc", session()[:-8], "2" + session()[1:], "1é"):
            with variables(TELEGRAM_SESSION=broken), self.assertRaises(telegram.Failure) as raised:
                asyncio.run(made())
            self.assertEqual(raised.exception.code, "bad_session", broken)

    def test_a_server_that_cannot_be_reached_is_told(self):
        # The session names an address of this machine where nobody listens.
        with variables(), self.assertRaises(telegram.Failure) as raised:
            telegram.converse(lambda client, chat: telegram.list_messages(client, chat, 1))
        self.assertEqual(raised.exception.code, "no_connection")


if __name__ == "__main__":
    unittest.main()
