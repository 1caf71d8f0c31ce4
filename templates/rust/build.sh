#!/bin/sh
# Builds the program that `cli` runs.
cd "$(dirname "$0")" && exec cargo build --release --target-dir target
