#!/usr/bin/env python3
"""PROGRAM, a program of the package PACKAGE. Written by: smcp plugins add."""
import sys
from importlib.metadata import distribution


def main():
    entries = distribution("PACKAGE").entry_points
    programs = [entry for entry in entries if entry.group == "console_scripts" and entry.name == "PROGRAM"]
    sys.argv[0] = "PROGRAM"
    return programs[0].load()()


if __name__ == "__main__":
    sys.exit(main())
