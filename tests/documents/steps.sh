# How the blocks of a page are run. A page's script is this file and a line for each block.
#
# $page_steps holds a file for each block, by its number; what the block prints and its status are put beside it. The
# program under test writes the number of each of its processes to $page_processes.
# shellcheck shell=bash

page_server= page_job=

# provide PATH PROGRAM: a command that notes its number, which the program keeps. It is written here: a file that the
# tests' own process had open for writing could not be executed while another of its threads starts a process.
provide() {
    printf '#!/bin/sh\necho $$ >>"%s"\nexec "%s" "$@"\n' "$page_processes" "$2" >"$1"
    chmod 755 "$1"
}

stop_server() {
    [ -z "$page_server" ] && return
    kill "$page_server" 2>/dev/null
    wait "$page_job" 2>/dev/null
    page_server=
}
trap stop_server EXIT

# run STEP: every command has to succeed; the first that fails ends the page.
run() {
    set -e
    . "$page_steps/$1" >"$page_steps/$1.out" 2>"$page_steps/$1.err"
    set +e
    echo 0 >"$page_steps/$1.status"
}

# fail STEP: the last command's status is kept.
fail() {
    . "$page_steps/$1" >"$page_steps/$1.out" 2>"$page_steps/$1.err"
    echo $? >"$page_steps/$1.status"
}

# serve STEP PORT LINES: goes on when the server is ready and has printed so many lines, or has had time for them. On
# a busy machine a start lists only the plugins that have answered by then; it is repeated.
serve() {
    for page_attempt in 1 2 3 4 5; do
        stop_server
        (. "$page_steps/$1") >"$page_steps/$1.out" 2>"$page_steps/$1.err" &
        page_job=$!
        until curl -fs -o /dev/null "http://127.0.0.1:$2/readyz"; do
            kill -0 $page_job || exit
            sleep 0.05
        done
        page_server=$(tail -n 1 "$page_processes")
        for page_wait in $(seq 100); do
            [ "$(wc -l <"$page_steps/$1.out")" -ge "$3" ] && break
            sleep 0.05
        done
        grep -q 'not answered yet' "$page_steps/$1.out" || break
    done
    echo 0 >"$page_steps/$1.status"
}

# place STEP PATH: the block becomes this file.
place() {
    mkdir -p "$(dirname "$2")" && cp -p "$page_steps/$1" "$2"
}

# keep STEP FILE: the file as it is now, to be compared later.
keep() {
    cp "$2" "$page_steps/$1.out"
}
