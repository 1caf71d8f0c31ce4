#!/usr/bin/env python3
"""Packs folders into archives: a job that takes its time, says how far it is, and leaves nothing behind."""
import argparse
import json
import os
import signal
import sys
import tarfile
import time
from pathlib import Path

EVENTS = int(os.environ.get("SMCP_EVENTS", 2))  # by hand: events are shown on stderr
MIB = 1024 * 1024

DESCRIPTION = {
    "contract_version": "1.1",
    "plugin": {"name": "archive", "version": "1.0.0", "description": __doc__},
    "commands": [
        {
            "name": "pack",
            "title": "Pack a folder",
            "description": "Packs all files of a folder into a new .tar.gz",
            "annotations": {"destructiveHint": False},
            "parameters": [
                {"name": "folder", "type": "string", "required": True, "description": "what is packed"},
                {
                    "name": "target",
                    "type": "string",
                    "required": True,
                    "pattern": r"\.tar\.gz$",
                    "description": "the archive that is written, a path",
                },
                {
                    "name": "rate",
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "description": "MiB a second at most, so that other programs can still use the disk",
                },
            ],
            "output_schema": {
                "type": "object",
                "properties": {
                    "files": {"type": "integer"},
                    "bytes": {"type": "integer"},
                    "skipped": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["files", "bytes", "skipped"],
            },
            "timeout": 3600,
            "max_concurrency": 2,
        }
    ],
}


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


class Metered:
    """A file that is read in small pieces, not faster than `rate`, and reports each piece."""

    def __init__(self, file, progress, rate):
        self.file = file
        self.progress = progress
        self.rate = rate

    def read(self, size):
        piece = self.file.read(min(size, 64 * 1024))
        if self.rate:
            time.sleep(len(piece) / (self.rate * MIB))
        self.progress.add(len(piece))
        return piece


class Progress:
    """Reports at most ten times a second, because every report is a message to the client."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.told = 0.0

    def add(self, count):
        self.done += count
        if count and time.monotonic() - self.told > 0.1:
            self.told = time.monotonic()
            tell(progress=self.done, total=self.total, message=f"{self.done / MIB:.1f} MiB packed")


def pack(given):
    folder, target = Path(given.folder), Path(given.target)
    if not folder.is_dir():
        sys.exit(f"no folder {folder}")
    if target.exists():
        sys.exit(f"{target} exists; choose another name")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    progress = Progress(sum(path.stat().st_size for path in files))
    tell(log="info", data=f"{len(files)} files in {folder}")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    skipped = []
    # SIGTERM becomes an exception, so that `finally` runs when the call is cancelled or takes too long.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        with tarfile.open(part, "w:gz") as archive:
            for path in files:
                try:
                    content = path.open("rb")
                except OSError as error:
                    tell(log="warning", data={"skipped": str(path), "because": error.strerror})
                    skipped.append(str(path))
                    continue
                with content:
                    entry = archive.gettarinfo(arcname=str(path.relative_to(folder)), fileobj=content)
                    archive.addfile(entry, Metered(content, progress, given.rate))
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    print(json.dumps({"files": len(files) - len(skipped), "bytes": progress.done, "skipped": skipped}))


if sys.argv[1:] == ["--describe"]:
    print(json.dumps(DESCRIPTION))
    sys.exit()
parser = argparse.ArgumentParser(description=__doc__)
packing = parser.add_subparsers(required=True).add_parser("pack")
packing.add_argument("--folder", required=True)
packing.add_argument("--target", required=True)
packing.add_argument("--rate", type=float)
pack(parser.parse_args())
