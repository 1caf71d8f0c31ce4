#!/usr/bin/env python3
"""Reads its command line in every way, the wrong ones included."""
import argparse
import getopt
import gettext
import optparse
import os
import shlex
import sys


def parser(**options):
    made = argparse.ArgumentParser(description="Words " * 40, epilog="The end.", **options)
    made.add_argument("--count", type=int, default=1, metavar="N", help="how many of them there are to be, 1 if not given")
    made.add_argument("--mode", choices=["fast", "slow"], required=True)
    made.add_argument("--flag", action="store_true")
    made.add_argument("names", nargs="*")
    return made


def case_help():
    parser().parse_args(["--help"])


def case_help_narrow():
    os.environ["COLUMNS"] = "45"
    parser().parse_args(["--help"])


def case_help_wide():
    os.environ["COLUMNS"] = "180"
    print(parser().format_help())


def case_missing():
    parser().parse_args([])


def case_bad_number():
    parser().parse_args(["--mode", "fast", "--count", "many"])


def case_bad_choice():
    parser().parse_args(["--mode", "other"])


def case_unknown():
    parser().parse_args(["--mode=fast", "--other", "-x"])


def case_abbreviated():
    print(parser().parse_args(["--mo", "fast", "--fl", "a", "b"]))


def case_ambiguous():
    made = parser()
    made.add_argument("--modern")
    made.parse_args(["--mod", "fast"])


def case_known():
    print(parser(prog="other").parse_known_args(["--mode", "slow", "--new", "-9", "--", "-x"]))


def case_version():
    made = parser()
    made.add_argument("--version", action="version", version="%(prog)s 1.2")
    made.parse_args(["--version"])


def case_subcommands():
    made = argparse.ArgumentParser()
    commands = made.add_subparsers(dest="command", required=True)
    commands.add_parser("one", help="the first").add_argument("path", type=argparse.FileType("r"))
    try:
        made.parse_args(["two"])
    except SystemExit as ended:
        print(ended.code)
    made.parse_args(["one", "/nowhere/at/all"])


def case_from_file():
    with open("arguments", "w") as file:
        file.write("--mode\nfast\n")
    print(parser(fromfile_prefix_chars="@").parse_args(["@arguments"]))


def case_exits_with_words():
    parser().exit(4, "enough\n")


def case_own_action():
    class Upper(argparse.Action):
        def __call__(self, parser, namespace, values, option_string=None):
            setattr(namespace, self.dest, values.upper())

    made = argparse.ArgumentParser()
    made.add_argument("--word", action=Upper)
    print(made.parse_args(["--word", "ä"]), sorted(made._registries["action"], key=str)[:3])


def case_getopt():
    print(getopt.gnu_getopt(["-a", "1", "rest", "--long=2"], "a:", ["long="]))
    getopt.getopt(["--none"], "a:", ["long="])


def case_optparse():
    made = optparse.OptionParser(version="2")
    made.add_option("-n", type="int", help="a number")
    print(made.parse_args(["-n", "3", "rest"]))
    made.parse_args(["-n", "x"])


def case_words():
    print([os.fsencode(word) for word in sys.argv[1:]], shlex.split(" ".join(sys.argv[1:2])))


def case_language():
    print(gettext.gettext("usage: "), gettext.find("none"), gettext.textdomain())


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
