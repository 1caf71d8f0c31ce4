#!/usr/bin/env python3
"""Shows its signals, and lets some come."""
import faulthandler
import os
import signal
import sys
import time


def case_dispositions():
    for number in sorted(signal.valid_signals()):
        try:
            print(int(number), signal.getsignal(number))
        except ValueError:
            print(int(number), "unknown")


def case_kernel_view():
    with open("/proc/self/status") as file:
        print("".join(line for line in file if line.startswith(("SigP", "SigB", "SigI", "SigC", "Shd"))))


def case_mask():
    print(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])), signal.sigpending())


def case_handler():
    signal.signal(signal.SIGUSR1, lambda number, frame: print("came", number, frame.f_code.co_name))
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.001)


def case_handler_exits():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def case_alarm():
    came = []
    signal.signal(signal.SIGALRM, lambda *_: came.append(print("alarm") if not came else None))
    # Again and again: the first may come before anybody waits.
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.05)
    signal.pause()
    signal.setitimer(signal.ITIMER_REAL, 0)


def case_default_alarm():
    print(signal.getitimer(signal.ITIMER_REAL), signal.alarm(0))


def case_wakeup():
    print(signal.set_wakeup_fd(-1))


def case_child_signal():
    signal.signal(signal.SIGCHLD, lambda *_: print("child"))
    if os.fork() == 0:
        os._exit(2)
    print(os.wait()[1])


def case_child_dispositions():
    sys.stdout.flush()
    os.system("grep -E '^(Sig[^Q]|Shd)' /proc/self/status")


def case_faulthandler():
    print(faulthandler.is_enabled())


def case_group_signal():
    signal.signal(signal.SIGUSR2, lambda *_: print("to the group"))
    os.killpg(0, signal.SIGUSR2)
    time.sleep(0.001)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
