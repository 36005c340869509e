"""The files that a scan's voxels lie in, where its header names others than itself."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medseg.scans.itk import ITK_SUFFIXES
from medseg.scans.nifti import pair_of

_LONGEST_HEADER = 1 << 20
_MOST_FILES = 1 << 16
_METAIMAGE = re.compile(rb"^[ \t]*ElementDataFile[ \t]*[=:][ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_NRRD = re.compile(rb"^data ?file[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_NRRD_END = re.compile(rb"\r?\n\r?\n")
_SIZE = re.compile(rb"^[ \t]*DimSize[ \t]*[=:].*?(\d+)[ \t]*\r?$", re.MULTILINE)
_NUMBER = re.compile(r"%([0.]?)(\d{0,2})[diu]")
_BESIDE = {".mhd": (".raw", ".zraw", ".raw.gz"), ".nhdr": (".raw", ".raw.gz")}


def voxel_files(path: Path) -> tuple[Path, ...]:
    """The other files that a scan is read from.

    Those are the second file of a `.hdr`/`.img` pair, and the files that a MetaImage or NRRD header names: one, a list
    or a pattern with its numbers, relative to the header. Of a header that names none, as a damaged one, they are the
    files beside it that bear its name.

    Args:
        path: File of the scan.

    Returns:
        Files in the order in which they are read, those that are missing among them; empty for a scan in one file.
    """
    name = path.name.lower()
    if not name.endswith(ITK_SUFFIXES):
        return tuple(one for one in pair_of(path) if one != path)
    named = _named(path, is_nrrd=name.endswith((".nrrd", ".nhdr")))
    if named is None:
        beside = (path.with_name(path.stem + ending) for ending in _BESIDE.get(path.suffix.lower(), ()))
        return tuple(one for one in beside if one.is_file())
    places = (_place(path.parent, one) for one in named)
    return tuple(one for one in dict.fromkeys(places) if one != path)


def _named(path: Path, *, is_nrrd: bool) -> list[str] | None:
    """Names in a header, empty where it holds the voxels itself; None where it cannot be read or says nothing."""
    try:
        with path.open("rb") as stream:
            header = stream.read(_LONGEST_HEADER)
    except OSError:
        return None
    if is_nrrd:
        end = _NRRD_END.search(header)
        found = _NRRD.search(header, 0, end.start() if end else len(header))
        if found is None:
            return [] if end else None
        return list(_names(os.fsdecode(found[1]).strip(), header[found.end() :], files=0))
    found = _METAIMAGE.search(header)
    if found is None:
        return None
    size = _SIZE.search(header, 0, found.start())
    return list(_names(os.fsdecode(found[1]).strip(), header[found.end() :], files=int(size[1]) if size else 1))


def _names(value: str, rest: bytes, *, files: int) -> Iterator[str]:
    """Names that the value of a field means; `rest` is what follows it, `files` the number where a pattern has none."""
    words = value.split()
    if not words or words[0].upper() in ("LOCAL", "LOCALTEXT"):
        return
    if words[0].upper() == "LIST":
        yield from (line for one in rest.splitlines()[: _MOST_FILES + 1] if (line := os.fsdecode(one).strip()))
    elif "%" in words[0]:
        yield from _of_pattern(words, files)
    else:
        yield value


def _of_pattern(words: list[str], files: int) -> Iterator[str]:
    """Names by a pattern such as `slice_%03d.raw 1 90 1`; first, last and step may be missing in a MetaImage."""
    try:
        numbers = [int(word) for word in words[1:4]]
        first = numbers[0] if numbers else 1
        last = numbers[1] if len(numbers) > 1 else first + files - 1
        step = numbers[2] if len(numbers) > 2 else max(1, (last - first) // max(files, 1))
        wanted = range(first, last + (1 if step > 0 else -1), step)[:_MOST_FILES]
    except ValueError:  # no numbers, or a step of 0
        yield " ".join(words)
        return
    for number in wanted:
        yield _NUMBER.sub(partial(_written, number), words[0])


def _written(number: int, found: re.Match[str]) -> str:
    """A number as C writes it by a conversion such as `%03d`."""
    return f"{number:{'0' if found[1] else ''}{found[2]}d}"


def _place(folder: Path, name: str) -> Path:
    """A named file, by its shortest path where that leads to it."""
    place = folder / name
    plain = Path(os.path.normpath(place))
    return plain if plain.is_file() else place
