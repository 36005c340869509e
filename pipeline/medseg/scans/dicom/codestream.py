"""The header of a coded frame, compared with that of its file: some contradictions crash decoders in C."""

from __future__ import annotations

from typing import NamedTuple

from medseg.errors import ScanError

_J2K_START = b"\xff\x4f\xff\x51"
_JPEG_START = b"\xff\xd8"
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}  # start of frame, of JPEG and JPEG-LS
_SCAN_MARKER = 0xDA
# Other markers before the pixels: tables, the restart interval, application data, comments, JPEG-LS presets.
_OTHER_MARKERS = frozenset({0xC4, 0xCC, 0xDB, 0xDD, *range(0xE0, 0xF0), 0xF8, 0xFE})


class FrameForm(NamedTuple):
    """Size of a coded frame: rows, columns, values per pixel and bits per value."""

    rows: int
    columns: int
    samples: int
    bits: int


def check_frame(code: bytes, *, rows: int, columns: int, samples: int, bits_allocated: int) -> None:
    """Refuse a frame of the JPEG family whose own header contradicts the file's.

    Args:
        code: Bytes of one frame.
        rows: (0028,0010).
        columns: (0028,0011).
        samples: (0028,0002).
        bits_allocated: (0028,0100).

    Raises:
        ScanError: If they contradict each other, or the frame has no header.

    Source: ITU-T T.81 B.2.2 (JPEG), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (JPEG 2000).
    """
    try:
        form = _jpeg_form(code) if code.startswith(_JPEG_START) else _jpeg_2000_form(code)
    except IndexError:
        raise ScanError("coded frames must be whole, got one that ends early", remedy="export it again") from None
    if form[:3] != (rows, columns, samples) or form.bits > bits_allocated:
        raise ScanError(
            f"coded frames must have {rows} rows, {columns} columns, {samples} sample(s) and at most {bits_allocated} "
            f"bits, got {form.rows}, {form.columns}, {form.samples} and {form.bits}",
            remedy="export it again",
        )


def _jpeg_form(code: bytes) -> FrameForm:
    """Form by the start-of-frame marker; markers must follow each other up to the pixels."""
    form = None
    place = 2
    while code[place] == 0xFF and code[place + 1] != _SCAN_MARKER:
        if code[place + 1] == 0xFF:  # fill byte
            place += 1
            continue
        if code[place + 1] in _FRAME_MARKERS:
            form = FrameForm(_short(code, place + 5), _short(code, place + 7), code[place + 9], code[place + 4])
        elif code[place + 1] not in _OTHER_MARKERS:
            break
        place += 2 + _short(code, place + 2)
    if form is None or code[place : place + 2] != bytes((0xFF, _SCAN_MARKER)) or form.bits < 2:
        raise ScanError("coded frames must start with their size, got one without", remedy="export it again")
    return form


def _jpeg_2000_form(code: bytes) -> FrameForm:
    """Form by the SIZ marker, behind the boxes of a JP2 file if there are any."""
    start = code.find(_J2K_START)
    if start < 0:
        raise ScanError("coded frames must start with their size, got one without", remedy="export it again")
    place = start + 4
    length, samples = _short(code, place), _short(code, place + 36)
    x_end, y_end, x_start, y_start, tile_width, tile_height = (_long(code, place + 4 + 4 * n) for n in range(6))
    bits = [(code[place + 38 + 3 * n] & 0x7F) + 1 for n in range(min(samples, 4))]
    steps = [code[place + 39 + 3 * n + m] for n in range(min(samples, 4)) for m in (0, 1)]
    if length != 38 + 3 * samples or not tile_width or not tile_height or 0 in steps:
        raise ScanError("coded frames must start with their size, got one that is damaged", remedy="export it again")
    return FrameForm(y_end - y_start, x_end - x_start, samples, max(bits))


def _short(code: bytes, place: int) -> int:
    return code[place] << 8 | code[place + 1]


def _long(code: bytes, place: int) -> int:
    return _short(code, place) << 16 | _short(code, place + 2)
