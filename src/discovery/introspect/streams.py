# What a watched program reads and prints, and the end of the process with its answer.

MAX_KEPT = 4 << 20  # bytes; as many as the server takes

printed, complained = [], []


def close_standard_input():
    """Reading it is refused like every other deed; asking what it is (isatty, encoding) is not."""
    import io

    class Closed(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            refuse("reads standard input")

        def fileno(self):
            return 0

    sys.stdin = io.TextIOWrapper(io.BufferedReader(Closed()), encoding="utf-8")


def keep_what_is_printed():
    """Keeps standard output, which may be a help text, and a copy of standard error."""
    import io

    class Kept(io.RawIOBase):
        def __init__(self, kept, descriptor):
            self.kept = kept
            self.size = 0
            self.descriptor = descriptor

        def writable(self):
            return True

        def fileno(self):
            return self.descriptor

        def write(self, data):
            data = bytes(data)
            self.size += len(data)
            if self.size <= MAX_KEPT:
                self.kept.append(data)
            if self.descriptor == 2:
                try:
                    os.write(2, data)
                except OSError:
                    pass
            return len(data)

    def text(kept, descriptor, errors):
        raw = io.BufferedWriter(Kept(kept, descriptor))
        return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=True)

    sys.stdout = sys.__stdout__ = text(printed, 1, "replace")
    sys.stderr = sys.__stderr__ = text(complained, 2, "backslashreplace")


def text_printed():
    """All that the program printed; what it complained of, where that is nothing."""
    flush()
    text = b"".join(printed)
    return text if text.strip() else b"".join(complained)


def flush():
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        try:
            getattr(sys, name).flush()
        except Exception:
            pass  # closed, detached or replaced by the program


def finish(status, reason="", answer=b""):
    """Ends the process without running anything of the program's: no exit hook, no destructor."""
    flush()
    try:
        write_all(answer_descriptor, answer)
        # The reason is a line of its own, whatever the program printed before it.
        write_all(2, ("\n" + reason + "\n").encode("utf-8", "replace") if reason else b"")
    except OSError:
        status = FAULT
    os._exit(status)


def write_all(descriptor, data):
    while data:
        data = data[os.write(descriptor, data):]


def give_up(status, reason, answer=b""):
    finish(status, " ".join(reason.split())[:1000], answer)
