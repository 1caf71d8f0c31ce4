//! The programs of the soak: a shell script that starts quickly and can misbehave, and a Python program.

use crate::support::plugins::Folder;

const STUB: &str = r#"#!/bin/sh
case "$1" in
--describe)
    cat <<'JSON'
{"contract_version":"1.1","plugin":{"name":"stub"},"commands":[
{"name":"echo","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"crash","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"orphan","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"large","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"flood","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"leave","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"talk","parameters":[{"name":"token","type":"string","required":true}]},
{"name":"hang","parameters":[{"name":"token","type":"string","required":true}]}]}
JSON
    ;;
echo) echo "token $3" ;;
# By its own hand, and with its supervisor's.
crash) kill -KILL $$ ;;
orphan) kill -KILL "$PPID"; sleep 30 ;;
large) head -c 1000000 /dev/zero | tr '\0' x ;;
flood) exec head -c 20000000 /dev/zero ;;
# Answers, and leaves something behind that holds its pipes.
leave) sleep 30 & echo "token $3" ;;
# Speaks nonsense on the event channel and ends all the same.
talk) for word in 1 2 3 4 5 6 7 8 9 10; do echo nonsense >&3; echo '{"progress":1}' >&3; done; echo "token $3" ;;
hang) trap '' TERM; sleep 60 ;;
esac
"#;

const PYTHON: &str = r#"
import argparse
import json
import sys

DESCRIPTION = {
    "commands": [
        {"name": "echo", "parameters": [{"name": "token", "type": "string", "required": True}]},
    ]
}

parser = argparse.ArgumentParser()
parser.add_argument("--describe", action="store_true")
commands = parser.add_subparsers(dest="command")
commands.add_parser("echo").add_argument("--token")
given = parser.parse_args()
if given.describe:
    print(json.dumps(DESCRIPTION))
    sys.exit(0)
print("token", given.token)
"#;

/// A folder with both.
pub fn folder() -> Folder {
    let folder = Folder::new();
    folder.add_executable("stub", STUB);
    folder.add("python", PYTHON);
    folder
}
