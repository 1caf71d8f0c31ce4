"""Commands that hang in every way, end at once, ask, or go on in the background."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

COMMANDS = ["short", "hang", "deaf", "job", "ask", "fail", "stop", "stop-hang", "count"]
CALLS = 0


def brood():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    subprocess.Popen(["sleep", "600"])


def ask():
    with socket.socket(fileno=int(os.environ["SMCP_EVENTS"])) as channel:
        channel.sendall(b'{"event": "progress", "progress": 1, "total": 2}\n')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--describe", action="store_true")
    parser.add_argument("command", nargs="?", choices=COMMANDS)
    arguments = parser.parse_args()
    if arguments.describe:
        described = [{"name": name, "description": name, "parameters": []} for name in COMMANDS]
        described[-1]["reuse"] = True
        print(json.dumps({"contract_version": "1.1", "plugin": {"name": "lanes", "description": "lanes"}, "commands": described}))
        return 0
    if arguments.command == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if arguments.command in ("stop", "stop-hang"):
        os.kill(os.getppid(), signal.SIGSTOP)
    if arguments.command in ("hang", "deaf", "stop-hang"):
        brood()
        time.sleep(600)
    if arguments.command == "job":
        subprocess.Popen(
            ["sleep", "600"], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    if arguments.command == "ask":
        ask()
    if arguments.command == "fail":
        print("no luck", file=sys.stderr)
        return 1
    if arguments.command == "count":
        global CALLS
        CALLS += 1
        print(json.dumps({"count": CALLS, "pid": os.getpid()}))
        return 0
    print(json.dumps({"ran": arguments.command}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
