#!/usr/bin/env python3
"""Lays out the source of the book: the pages that docs/SUMMARY.md lists, and the files that they link to.

    docs/dev/book.py DIRECTORY

mdBook wants all pages below one directory. The copies have the same places as the originals, so that every link between
them stays as it is. A link to a directory, or to a page that is not in the book, becomes its text: a book has nothing to
show there. A link that leads nowhere ends this with status 1.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^ *```")


def without_code(text):
    """The lines of a page that are no code, which may look like a link."""
    inside = False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            yield re.sub(r"`[^`]*`", "", line)


def targets(page, text):
    """The files of this project that a page links to."""
    for line in without_code(text):
        for link in LINK.findall(line):
            path = link.split("#")[0]
            if path and ":" not in path:
                yield link, (page.parent / path).resolve()


def lay_out(book):
    """Copies the pages and what they link to; gives what is wrong."""
    summary = ROOT / "docs/SUMMARY.md"
    text = summary.read_text()
    pages = [page for _, page in targets(summary, text)]
    faults = []
    shutil.rmtree(book, ignore_errors=True)
    for page in pages:
        content = page.read_text()
        for link, target in targets(page, content):
            if not target.is_relative_to(ROOT) or not target.exists():
                faults.append(f"{page.relative_to(ROOT)}: {link} leads nowhere")
            elif target.is_dir() or target.suffix == ".md" and target not in pages:
                content = re.sub(rf"\[([^\]]*)\]\({re.escape(link)}\)", r"\1", content)
            elif target not in pages:
                shutil.copyfile(target, place_of(target, book))
        place_of(page, book).write_text(content)
    listed = LINK.sub(lambda link: f"]({from_root(summary, link[1])})", text)
    (book / "SUMMARY.md").write_text(listed)
    return faults


def place_of(file, book):
    """Where a file's copy is, in a directory that is there."""
    copy = book / file.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    return copy


def from_root(page, link):
    """A link of a page as the project's directory sees it."""
    return (page.parent / link).resolve().relative_to(ROOT)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: docs/dev/book.py DIRECTORY")
    wrong = lay_out(Path(sys.argv[1]))
    if wrong:
        sys.exit("\n".join(wrong))
