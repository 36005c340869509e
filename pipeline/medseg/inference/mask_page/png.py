"""PNG files by their standard, without a library of pictures."""

from __future__ import annotations

import struct
import zlib

from medseg.records import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TRUECOLOUR, _INDEXED = 2, 3


def encode_png(pixels: Array, palette: Array | None = None) -> bytes:
    """A PNG of eight bits.

    Args:
        pixels: uint8 of shape `(rows, columns)` with numbers of the palette, or `(rows, columns, 3)` with red, green
            and blue.
        palette: Red, green and blue of each number, uint8 of shape `(colours, 3)` with at most 256 colours.

    Source: PNG specification, third edition, sections 5.3, 9.2 and 11.2.
    """
    rows, columns = pixels.shape[:2]
    kind = _TRUECOLOUR if palette is None else _INDEXED
    header = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)  # filter type 0 before each line
    colours = b"" if palette is None else _chunk(b"PLTE", palette.tobytes())
    return _SIGNATURE + _chunk(b"IHDR", header) + colours + _chunk(b"IDAT", zlib.compress(lines, 6)) + _chunk(b"IEND")


def _chunk(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
