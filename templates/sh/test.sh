#!/bin/sh
# Runs the program as the server does, and compares what it prints.
set -eu
cd "$(dirname "$0")"

equal() {
    if [ "$1" != "$2" ]; then
        printf 'FAILED: expected\n%s\nbut got\n%s\n' "$2" "$1" >&2
        exit 1
    fi
}

equal "$(./cli hello --name Ada --times 2)" "$(printf 'Hello, Ada!\nHello, Ada!')"
equal "$(./cli hello --name=-x-)" 'Hello, -x-!'
equal "$(./cli hello 2>&1 || echo "status $?")" "$(printf 'hello needs --name\nstatus 1')"
echo ok
