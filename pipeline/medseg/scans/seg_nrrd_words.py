"""What the header of a `.seg.nrrd` says of its structures beside their names: colours, codes and extents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from medseg.errors import ScanError
from medseg.scans.statements import Key, Statements

_ENTRY = re.compile(r"TerminologyEntry:[^~|]*~([^~|]*)~([^~|]*)~([^~|]*)~[^|]*\|")
_ROLES = ("category", "type", "side")


def read_seg_nrrd_words(path: Path) -> Statements:
    """Read the header line by line, by the rules of NRRD and of 3D Slicer.

    Raises:
        ScanError: If a structure lacks a field.

    Source: https://slicer.readthedocs.io, user guide, Segmentations, file format.
    """
    fields = _fields(path)
    starts = [key.removesuffix("LabelValue") for key in fields if re.fullmatch(r"Segment\d+_LabelValue", key)]
    said: dict[Key, str | float] = {}
    try:
        for start in starts:
            subject = f"segment {int(fields[f'{start}LabelValue'])}"
            subject += " again" * any(key[0] == subject for key in said)
            said |= {(subject, what): value for what, value in _of_structure(fields, start)}
    except (KeyError, ValueError) as error:
        raise ScanError(f"file {path.name} must be whole, got damage", remedy="deliver it again") from error
    return Statements(library="rules of NRRD", values=said)


def _fields(path: Path) -> dict[str, str]:
    """Keys and values, which are parted by `:=`."""
    with path.open("rb") as stream:
        lines = [line.decode("utf-8").rstrip("\r\n") for line in takewhile(bytes.strip, stream)]
    return dict(line.split(":=", 1) for line in lines if ":=" in line)


def _of_structure(fields: Mapping[str, str], start: str) -> Iterator[tuple[str, str]]:
    yield "colour", " ".join(str(round(255 * float(part))) for part in fields[f"{start}Color"].split())
    yield "extent", fields[f"{start}Extent"]
    tags = fields[f"{start}Tags"]
    entry = _ENTRY.fullmatch(tags)
    if entry is None:
        yield from [("tags", tags)] if tags else []
        return
    for role, term in zip(_ROLES, entry.groups(), strict=True):
        scheme, value, meaning = term.split("^")
        if scheme or value or meaning:
            yield role, f"{meaning} ({value}, {scheme})"
