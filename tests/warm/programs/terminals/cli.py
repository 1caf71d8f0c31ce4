#!/usr/bin/env python3
"""Looks for a terminal where there is none, and makes one."""
import cmd
import getpass
import io
import os
import pty
import select
import shutil
import sys
import termios
import tty


def case_size():
    print(shutil.get_terminal_size(), shutil.get_terminal_size((7, 7)))
    os.environ["COLUMNS"], os.environ["LINES"] = "33", "5"
    print(shutil.get_terminal_size())
    os.get_terminal_size()


def case_none():
    print([os.isatty(number) for number in (0, 1, 2)], sys.stdin.isatty(), sys.stdout.isatty())
    print(os.path.exists("/dev/tty"), os.ctermid())
    os.ttyname(1)


def case_attributes():
    termios.tcgetattr(0)


def case_raw():
    tty.setraw(1)


def case_curses():
    import curses

    try:
        curses.setupterm("none")
    except curses.error as fault:
        print(fault)
    os.environ.pop("TERM", None)
    curses.initscr()


def case_readline():
    import readline

    readline.parse_and_bind("tab: complete")
    readline.add_history("words")
    print(readline.get_current_history_length(), readline.get_history_item(1), readline.get_completer())
    print(input("prompt> "))


def case_password():
    print(getpass.getuser() != "")
    print(getpass.getpass("secret: "))


def case_commands():
    class Shell(cmd.Cmd):
        prompt = "? "

        def do_add(self, words):
            print(sum(map(int, words.split())))

        def do_EOF(self, _):
            return True

    shell = Shell(stdin=io.StringIO("add 1 2\nhelp\nother\n"))
    shell.use_rawinput = False
    shell.cmdloop()


def case_own_terminal():
    leader, follower = pty.openpty()
    print(os.isatty(follower), termios.tcgetattr(follower)[3] != 0)
    tty.setcbreak(follower)
    os.write(leader, b"x")
    print(select.select([follower], [], [], 5)[0] == [follower], os.read(follower, 1))


def case_forked_terminal():
    sys.stdout.flush()
    pid, leader = pty.fork()
    if pid == 0:
        os.write(1, b"%d\n" % os.isatty(0))
        os._exit(3)
    print(os.read(leader, 100), os.waitpid(pid, 0)[1])


def case_spawned():
    print(pty.spawn(["sh", "-c", "exit 2"]))


def case_session():
    try:
        os.setsid()
        print("a session")
    except OSError as fault:
        print(fault)
    print(os.tcgetpgrp(0) if os.isatty(0) else "none")


def case_group():
    os.setpgid(0, 0)
    print(os.getpgrp() == os.getpid())


def case_pager():
    import pydoc

    pydoc.pager("words\n" * 3)
    print(pydoc.getpager().__name__)


def case_colours():
    os.environ["FORCE_COLOR"] = "1"
    raise ValueError("in colour, where it is known")


def case_banner():
    import code

    code.interact(banner="a banner", readfunc=lambda prompt: sys.exit(4), exitmsg="")


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
