#!/usr/bin/env python3
"""Logs in to Telegram, and prints the session for TELEGRAM_SESSION. Run by hand, once."""

import os
import sys

try:
    from telethon.sessions import StringSession
    from telethon.sync import TelegramClient
except ImportError as fault:
    sys.exit("{}; run: {} -m pip install -r requirements.txt".format(fault, sys.executable))


def asked(name, words):
    return os.environ.get(name) or input(words + ": ").strip()


def main():
    number = int(asked("TELEGRAM_API_ID", "id of the application"))
    secret = asked("TELEGRAM_API_HASH", "hash of the application")
    with TelegramClient(StringSession(), number, secret) as client:
        print("TELEGRAM_SESSION={}".format(client.session.save()))


if __name__ == "__main__":
    main()
