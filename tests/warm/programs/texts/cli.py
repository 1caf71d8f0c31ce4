#!/usr/bin/env python3
"""Writes and reads text in the encodings that its environment names."""
import codecs
import io
import locale
import os
import subprocess
import sys


def case_streams():
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        print(name, stream.encoding, stream.errors, stream.line_buffering, stream.write_through)


def case_defaults():
    print(sys.getdefaultencoding(), sys.getfilesystemencoding(), sys.getfilesystemencodeerrors(), sys.flags.utf8_mode)
    print(locale.getpreferredencoding(), locale.getpreferredencoding(False), io.TextIOWrapper(io.BytesIO()).encoding)


def case_locale():
    print(locale.setlocale(locale.LC_ALL, None), locale.setlocale(locale.LC_CTYPE, None), locale.getlocale())
    print(sorted((name, os.environ[name]) for name in os.environ if name.startswith(("LC_", "LANG"))))


def case_locale_taken_over():
    try:
        print(locale.setlocale(locale.LC_ALL, ""), locale.localeconv()["thousands_sep"], locale.str(1.5))
    except locale.Error as fault:
        print(fault)


def case_unencodable():
    print("ä € 😀 \udcff")


def case_unencodable_error():
    print("ä € 😀 \udcff", file=sys.stderr)


def case_uncaught_text():
    raise ValueError("ä € \udcff")


def case_exit_text():
    sys.exit("ä €")


def case_reconfigured():
    sys.stdout.reconfigure(encoding="utf-16-le", errors="replace", line_buffering=True)
    print("ä € 😀")


def case_reconfigured_unbuffered():
    sys.stdout.write("first ")
    sys.stdout.reconfigure(write_through=True)
    sys.stdout.write("second ")
    os.write(1, b"third\n")


def case_newlines():
    sys.stdout.reconfigure(newline="\r\n")
    print("a\nb")


def case_own_handler():
    codecs.register_error("loud", lambda fault: ("!" * (fault.end - fault.start), fault.end))
    sys.stdout.reconfigure(encoding="ascii", errors="loud")
    print("ä€")


def case_own_codec():
    codecs.register(lambda name: codecs.lookup("rot13") if name == "mine" else None)
    print(codecs.encode("words", "mine"))


def case_file():
    with open("text.txt", "w") as file:
        print(file.encoding)
        file.write("plain")
    with open("text.txt", encoding="locale" if sys.version_info >= (3, 10) else None) as file:
        print(file.read(), file.encoding)


def case_names():
    with open(b"name-\xff", "w"):
        pass
    print([os.fsencode(name) for name in os.listdir(".")], os.listdir(b"."))


def case_child():
    code = "import sys, locale; print(sys.stdout.encoding, sys.stdout.errors, locale.getpreferredencoding(False))"
    print(subprocess.run([sys.executable, "-c", code], stdout=-1, stderr=-1))


def case_arguments():
    print([ascii(word) for word in sys.argv])


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
