"""One conversation with a bot over Telegram: what is sent, clicked and read, and what can go wrong.

Telethon is imported where a client is made, and nowhere else: the plugin can be described without it, and the tests
put a client of their own in its place.
"""

import asyncio
import binascii
import os
import struct
import sys

from failures import Failure, in_words

VARIABLES = ("TELEGRAM_API_ID", "TELEGRAM_API_HASH", "TELEGRAM_SESSION")
CHAT = "TELEGRAM_CHAT"
DEFAULT_CHAT = "BotFather"
#: Seconds for a whole call, without the wait for answers, and for the good-bye.
LIMIT = 40.0
GOODBYE_LIMIT = 3.0
#: A pause that Telegram asks for is kept up to this many seconds; a longer one is the caller's matter.
SHORT_PAUSE = 5
#: Seconds between two looks for an answer.
PAUSE = 0.5
#: Characters of one message's text; Telegram's own limit.
MAX_TEXT = 4096


def telethon_client():
    """A client of the account that the environment names, not connected yet.

    # Errors
    Says what to set or to install.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name, "").strip()]
    if missing:
        message = (
            "not set in the server's environment: {}; TELEGRAM_API_ID and TELEGRAM_API_HASH come from "
            "https://my.telegram.org/apps, and {} says how to make TELEGRAM_SESSION"
        )
        readme = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
        raise Failure("not_configured", message.format(", ".join(missing), readme), missing=missing)
    number, secret, session = (os.environ[name].strip() for name in VARIABLES)
    if not (number.isascii() and number.isdigit() and 0 < int(number) < 2**31):
        raise Failure("bad_credentials", "TELEGRAM_API_ID is not a number; take it from https://my.telegram.org/apps")
    try:
        from telethon import TelegramClient
        from telethon.sessions import StringSession
    except ImportError as fault:
        requirements = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")
        message = "Telethon cannot be imported by {} ({}); run: {} -m pip install -r {}"
        raise Failure("not_installed", message.format(sys.executable, fault, sys.executable, requirements))
    try:
        saved = StringSession(session)
    except (ValueError, struct.error, binascii.Error, IndexError):
        raise Failure("bad_session", "TELEGRAM_SESSION is no session string of Telethon; make one as the README says")
    return TelegramClient(
        saved,
        int(number),
        secret,
        timeout=10,
        request_retries=2,
        connection_retries=2,
        retry_delay=1,
        flood_sleep_threshold=SHORT_PAUSE,
        receive_updates=False,
    )


def converse(action, wait=0.0, make_client=telethon_client):
    """Runs `action(client, chat)` with a connected client, within a time limit, and puts every error into words."""
    limit = LIMIT + wait

    async def talk():
        # Made here: Telethon takes the loop that runs.
        client = make_client()
        began = _now()
        try:
            return await asyncio.wait_for(_logged_in(client, action), limit)
        except asyncio.TimeoutError as fault:
            # Of newer Pythons it is also what the network raises.
            if _now() - began < limit:
                raise ConnectionError(str(fault) or "no answer")
            raise Failure(
                "timeout", "Telegram did not answer within {:g} s; list-messages shows what was done".format(limit)
            )
        finally:
            try:
                await asyncio.wait_for(_goodbye(client), GOODBYE_LIMIT)
            except (Exception, asyncio.CancelledError):
                pass  # the answer counts, not the good-bye

    try:
        return asyncio.run(talk())
    except Failure:
        raise
    except Exception as fault:
        raise in_words(fault)


async def _goodbye(client):
    await client.disconnect()


async def _logged_in(client, action):
    await client.connect()
    if not await client.is_user_authorized():
        raise Failure(
            "bad_session", "the session in TELEGRAM_SESSION is not logged in; log in again as the README says"
        )
    chat = os.environ.get(CHAT, "").strip() or DEFAULT_CHAT
    return await action(client, await client.get_input_entity(chat))


async def list_messages(client, chat, limit):
    """The newest messages of the chat, the newest first."""
    return {"messages": [message_to_json(message) for message in await client.get_messages(chat, limit=limit)]}


async def send_message(client, chat, text, wait):
    """Sends a text as it is, and waits for what the bot answers to it."""
    sent = await client.send_message(chat, text, parse_mode=None)
    result = {"sent": message_to_json(sent)}
    try:
        result["replies"] = await _replies(client, chat, sent.id, wait)
    except Exception as fault:
        # It is sent: who takes this for a failure would send it twice.
        result["fault"] = in_words(fault).message
    return result


async def click_button(client, chat, text, number, wait):
    """Clicks a button of a message, and waits for what changes."""
    message = await client.get_messages(chat, ids=number)
    if message is None:
        raise Failure("no_such_message", "there is no message {}; use list-messages for the ids".format(number))
    button = find_button(message, text)
    kind = kind_of(button)
    if kind == "url":
        # A browser of the server's machine is of no use to the caller.
        return {"clicked": button.text, "kind": kind, "url": button.url}
    if kind not in ("callback", "text"):
        raise Failure(
            "other_button", "the button {!r} is of the kind {}, which only a person can use".format(button.text, kind)
        )
    newest = await client.get_messages(chat, limit=1)
    last = max([one.id for one in newest] + [number])
    before = message_to_json(message)
    answer = await button.click()
    result = {"clicked": button.text, "kind": kind}
    if kind == "callback":
        # Telethon gives nothing when the bot does not answer the click itself; it may act all the same.
        result["answered"] = answer is not None
        result["notice"] = getattr(answer, "message", None)
        if getattr(answer, "url", None):
            result["url"] = answer.url
    else:
        last = max(last, getattr(answer, "id", last))
    try:
        message, replies = await _changes(client, chat, before, number, last, wait)
    except Exception as fault:
        # It is clicked: who takes this for a failure would click twice.
        return dict(result, fault=in_words(fault).message)
    return dict(result, message=message, edited=message is not None and message != before, replies=replies)


async def _replies(client, chat, after, wait):
    """Messages of the bot after this one, oldest first; empty if none comes within `wait` seconds."""
    deadline = _now() + wait
    while True:
        found = await client.get_messages(chat, limit=10, min_id=after)
        replies = [message_to_json(one) for one in reversed(list(found)) if not one.out]
        if replies or _now() >= deadline:
            return replies
        await asyncio.sleep(min(PAUSE, max(deadline - _now(), 0)))


async def _changes(client, chat, before, number, last, wait):
    """The message after the click (bots edit it) and new messages, as soon as there is a change."""
    deadline = _now() + wait
    while True:
        message = await client.get_messages(chat, ids=number)
        message = None if message is None else message_to_json(message)
        replies = await _replies(client, chat, last, 0)
        if replies or message != before or _now() >= deadline:
            return message, replies
        await asyncio.sleep(min(PAUSE, max(deadline - _now(), 0)))


def _now():
    return asyncio.get_running_loop().time()


def buttons_of(message):
    return [button for row in message.buttons or [] for button in row]


def find_button(message, text):
    """The button with this text; failing that, the only one that differs in case and white space alone."""
    buttons = buttons_of(message)
    if not buttons:
        raise Failure(
            "no_buttons", "message {} has no buttons; list-messages shows which messages have some".format(message.id)
        )
    found = [button for button in buttons if button.text == text]
    found = found or [button for button in buttons if _alike(button.text) == _alike(text)]
    if len(found) == 1:
        return found[0]
    shown = [button.text for button in buttons]
    why = "has {} buttons {!r}".format(len(found), text) if found else "has no button {!r}".format(text)
    message = "message {} {}; its buttons are {}".format(message.id, why, ", ".join(repr(one) for one in shown))
    raise Failure("ambiguous_button" if found else "no_such_button", message, buttons=shown)


def _alike(text):
    return " ".join(text.split()).casefold()


def kind_of(button):
    """`callback`, `url`, `text` (it sends what is on it), or Telethon's name of another kind."""
    if button.url:
        return "url"
    if button.data is not None:
        return "callback"
    # Newer versions of Telethon keep the kind in a member `type`.
    name = type(getattr(button.button, "type", None) or button.button).__name__
    return "text" if name in ("KeyboardButton", "ButtonTypeDefault") else name


def message_to_json(message):
    rows = [[{"text": button.text, "kind": kind_of(button)} for button in row] for row in message.buttons or []]
    date = getattr(message, "date", None)
    return {
        "id": message.id,
        "from": "me" if message.out else "bot",
        "date": date.isoformat() if date else None,
        "text": (message.raw_text or "")[:MAX_TEXT],
        "buttons": rows,
    }
