"""Tells what tests/transports/sdk says: the official Rust SDK is checked by a Rust test, which starts the servers that it needs.

The first argument is the built test, the second the door.
"""

import re
import subprocess
import sys

LINE = re.compile(r"^test sdk::\w+::(\w+)::(\w+)::(\w+) \.\.\. (ok|FAILED)$")
COLUMNS = {
    "elicitation_at_once": "elicitation",
    "ten_mb_result": "10 MB result",
    "sixteen_at_once": "16 at once",
}


def main() -> int:
    program, door = sys.argv[1:]
    seen = 0
    with subprocess.Popen([program, f"sdk::{door}::"], stdout=subprocess.PIPE, text=True) as tests:
        for line in tests.stdout:
            if found := LINE.match(line.rstrip()):
                module, claim, era, outcome = found.groups()
                topic = COLUMNS.get(module, module.replace("_", " "))
                verdict = "pass" if outcome == "ok" else "FAIL"
                print(f"{verdict}  {topic}: {claim.replace('_', ' ')}, {era.replace('_', ' ')}", flush=True)
                seen += 1
            else:
                # Why something failed; the runner shows it when this client ends badly.
                print(line, end="", file=sys.stderr)
    return tests.returncode if seen else 1


if __name__ == "__main__":
    sys.exit(main())
