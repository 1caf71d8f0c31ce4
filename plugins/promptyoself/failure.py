"""The one kind of error that callers see."""


class Failure(Exception):
    """Something that did not work: a code for programs, a message for people, and details as JSON."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    def to_json(self):
        return dict({"ok": False, "error": self.message, "code": self.code}, **self.details)
