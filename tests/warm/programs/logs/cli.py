#!/usr/bin/env python3
"""Logs, above all at its end."""
import atexit
import logging
import logging.config
import logging.handlers
import os
import queue
import sys
import threading
import warnings


class Late:
    def __del__(self):
        logging.getLogger("late").error("from a destructor")


def case_plain():
    logging.debug("not shown")
    logging.warning("root %s", 1)
    logging.getLogger("a.b").error("error", exc_info=ValueError("x"))


def case_basic():
    logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(name)s %(threadName)s %(processName)s %(funcName)s %(lineno)d %(message)s")
    logging.getLogger("a").info("words", stack_info=True)


def case_identity():
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    record = logging.getLogger("a").makeRecord("a", 30, __file__, 1, "m", (), None)
    print(record.process == os.getpid(), record.thread == threading.get_ident(), record.processName, record.module)
    print(0 <= record.relativeCreated < 60000)


def case_configured():
    logging.config.dictConfig({
        "version": 1,
        "formatters": {"short": {"format": "%(levelname)s:%(message)s"}},
        "handlers": {"file": {"class": "logging.FileHandler", "filename": "log", "formatter": "short", "delay": True}},
        "root": {"handlers": ["file"], "level": "INFO"},
    })
    logging.info("to the file")
    print(logging.root.handlers, sorted(logging.root.manager.loggerDict))


def case_registered():
    print(sorted(logging.root.manager.loggerDict), logging.root.level, logging.lastResort, len(logging._handlerList))
    print(logging.getLevelName(30), logging.getLoggerClass().__name__, logging.getLogRecordFactory().__name__, logging.raiseExceptions)


def case_kept_until_the_end():
    target = logging.FileHandler("log")
    logging.root.addHandler(logging.handlers.MemoryHandler(100, target=target))
    logging.warning("one")
    atexit.register(logging.warning, "two")


def case_queue():
    lines = queue.Queue()
    listener = logging.handlers.QueueListener(lines, logging.StreamHandler(sys.stdout))
    logging.root.addHandler(logging.handlers.QueueHandler(lines))
    listener.start()
    logging.warning("by a thread")
    atexit.register(listener.stop)


def case_rotated():
    handler = logging.handlers.RotatingFileHandler("log", maxBytes=50, backupCount=2)
    logging.root.addHandler(handler)
    for number in range(8):
        logging.warning("line %d of many", number)


def case_bad_format():
    logging.warning("%d words", "no")


def case_broken_handler():
    class Broken(logging.Handler):
        def emit(self, record):
            raise OSError("broken")

    logging.root.addHandler(Broken())
    logging.warning("words")


def case_warnings_captured():
    logging.captureWarnings(True)
    warnings.warn("captured")


def case_from_destructor():
    globals()["late"] = Late()


def case_after_shutdown():
    logging.shutdown()
    logging.warning("after it")


def case_closed_stream():
    handler = logging.StreamHandler(open("log", "w"))
    logging.root.addHandler(handler)
    handler.stream.close()
    logging.warning("into nothing")


def case_stderr_replaced():
    logging.basicConfig()
    sys.stderr = open("err", "w")
    logging.warning("to the first one")
    logging.lastResort.stream.write("to the new one")


def case_adapter():
    logging.basicConfig(format="%(where)s %(message)s")
    logging.LoggerAdapter(logging.getLogger("a"), {"where": "here"}).warning("words")


def case_disabled():
    logging.disable(logging.ERROR)
    logging.error("not shown")
    logging.critical("shown")


def case_children():
    logging.basicConfig(format="%(process)d", stream=open("log", "w"))
    if os.fork() == 0:
        logging.warning("child")
        logging.shutdown()
        os._exit(0)
    os.wait()
    with open("log") as file:
        print(file.read().strip() != str(os.getpid()))
    os.unlink("log")


def case_syslog():
    try:
        logging.handlers.SysLogHandler(address="/nowhere/log")
    except OSError as fault:
        print(fault)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
