"""What can go wrong between here and Telegram, in words for the caller."""

#: What Telethon's errors mean to the caller, by class name: known without Telethon, and looked up along the bases.
ERRORS = {
    "ApiIdInvalidError": (
        "bad_credentials",
        "Telegram does not know this TELEGRAM_API_ID with this TELEGRAM_API_HASH; take both from "
        "https://my.telegram.org/apps",
    ),
    "AuthKeyUnregisteredError": (
        "bad_session",
        "the session in TELEGRAM_SESSION has been ended; log in again as the README says",
    ),
    "AuthKeyDuplicatedError": (
        "bad_session",
        "the session in TELEGRAM_SESSION was used from two addresses at once, and Telegram has ended it; log "
        "in again as the README says, and use it in one place",
    ),
    "SessionRevokedError": (
        "bad_session",
        "the session in TELEGRAM_SESSION has been revoked; log in again as the README says",
    ),
    "SessionExpiredError": (
        "bad_session",
        "the session in TELEGRAM_SESSION has expired; log in again as the README says",
    ),
    "UserDeactivatedError": ("bad_session", "the account of TELEGRAM_SESSION has been deleted"),
    "UserDeactivatedBanError": ("bad_session", "the account of TELEGRAM_SESSION has been banned"),
    "UsernameNotOccupiedError": ("unknown_chat", "nobody on Telegram has the name in TELEGRAM_CHAT"),
    "UsernameInvalidError": ("unknown_chat", "TELEGRAM_CHAT is no name of Telegram's"),
    "YouBlockedUserError": ("blocked", "this account has blocked the bot; unblock it in a Telegram client"),
    "MessageTooLongError": ("bad_message", "the message is too long"),
    "MessageIdInvalidError": (
        "no_such_message",
        "the message is not there any more; use list-messages for current ids",
    ),
    "DataInvalidError": (
        "stale_button",
        "the bot does not know this button any more; use list-messages for a newer message",
    ),
    "BotResponseTimeoutError": (
        "no_answer",
        "the bot did not answer the click in time; use list-messages to see what it did",
    ),
}


class Failure(Exception):
    """Something that did not work: a code for programs, a message for people, and details as JSON."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def to_json(self):
        return dict({"ok": False, "error": self.message, "code": self.code}, **self.details)


def in_words(fault):
    """The failure that stands for an error of Telethon or of the network."""
    names = [one.__name__ for one in type(fault).__mro__]
    seconds = getattr(fault, "seconds", None)
    if seconds is not None and ("FloodError" in names or "FloodWaitError" in names):
        message = "Telegram asks to wait {} s; try again after that"
        return Failure("flood_wait", message.format(seconds), seconds=seconds)
    for name in names:
        if name in ERRORS:
            return Failure(*ERRORS[name])
    if isinstance(fault, (ConnectionError, OSError)):
        return Failure("no_connection", "Telegram cannot be reached: {}".format(fault or type(fault).__name__))
    return Failure("telegram_error", "{}: {}".format(type(fault).__name__, fault))
