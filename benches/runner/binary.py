"""What a program file is made of. Reads 64-bit little-endian ELF, which is all that is measured here."""

import struct
from pathlib import Path

# elf(5): where the header has the place, the size and the number of the table of sections, and which one has the names.
HEADER = struct.Struct("<40xQ10xHHH")
SECTION = struct.Struct("<II16xQQ")
NO_BITS = 8


def sections(program: Path) -> dict[str, int]:
    """The bytes of each section in the file; empty where it is no such file."""
    data = program.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        return {}
    start, size, count, names_at = HEADER.unpack_from(data)
    table = [SECTION.unpack_from(data, start + size * number) for number in range(count)]
    names = data[table[names_at][2] :]
    return {
        names[name : names.index(b"\0", name)].decode(): length
        for name, kind, _, length in table
        if kind != NO_BITS and length
    }
