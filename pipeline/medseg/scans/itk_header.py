"""Headers of MetaImage and NRRD files that ITK cannot be given: it would crash, or read what lies in memory.

Of a MetaImage it makes room for ten axes, hands a pattern of file names to C's `printf` as it stands, divides by the
step between the files, and reads as many as are named, be they more or fewer than the slices. Of an NRRD it makes room
for numbers of usual length.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from medseg.errors import ScanError

_LONGEST_HEADER = 1 << 20
_MOST_AXES = 10
_AXES = re.compile(r"NDims\s*[=:]\s*(\S*)")
_SIZES = re.compile(r"DimSize\s*[=:][ \t]*([^\r\n]*)")
_FILE = re.compile(r"ElementDataFile\s*[=:]\s*([^\r\n]*)")
_NRRD_FILE = re.compile(r"data ?file[ \t]*:\s*([^\r\n]*)", re.IGNORECASE)
_NRRD_END = re.compile(r"\r?\n\r?\n")
_WIDE = re.compile(r"%\D?\d{3}")
_CONVERSION = re.compile(r"%[0.]?\d{0,2}[diu]")
_NAMES = "names of voxel files that are not one for each slice"


def check_itk_header(path: Path, *, is_nrrd: bool) -> None:
    """Refuse a header that ITK cannot be given.

    What stands in the text of other fields counts as well: a rule that is too strict there refuses one file, and one
    that is too lax ends the process.

    Raises:
        ScanError: If it has too many axes, fewer or more voxel files than slices, or no end; the message names no file.
        OSError: If it cannot be opened.
    """
    with path.open("rb") as stream:
        header = stream.read(_LONGEST_HEADER + 1)
    text = header.decode("latin-1")
    if len(header) > _LONGEST_HEADER and (_NRRD_END if is_nrrd else _FILE).search(text) is None:
        raise ScanError(f"a header of more than {_LONGEST_HEADER} bytes")
    if is_nrrd:
        if any(_WIDE.search(found[1]) for found in _NRRD_FILE.finditer(text)):
            raise ScanError(_NAMES)
        return
    if not all(0 <= _number(found[1]) <= _MOST_AXES for found in _AXES.finditer(text)):
        raise ScanError("a number of axes that no image has")
    if not all(_is_right(found[1], text[found.end() :], _sizes(text)) for found in _FILE.finditer(text)):
        raise ScanError(_NAMES)


def _is_right(named: str, rest: str, sizes: list[float]) -> bool:
    """Whether what a MetaImage names as its voxel files, a list going on in the rest, is one for each slice."""
    words = named.split()
    if words and words[0].upper() == "LIST":
        return _is_list(words, rest, sizes)
    return "%" not in named or _is_pattern(words, sizes)


def _sizes(text: str) -> list[float]:
    """Voxels along the axes; empty where that is not said once."""
    found = {tuple(map(_number, one[1].split())) for one in _SIZES.finditer(text)}
    return list(found.pop()) if len(found) == 1 else []


def _is_list(words: list[str], rest: str, sizes: list[float]) -> bool:
    """Whether a list, such as `LIST` or `LIST 2D`, names a file for each slice."""
    axes = _number(words[1].upper().removesuffix("D")) if len(words) > 1 else len(sizes) - 1
    return bool(sizes) and axes == len(sizes) - 1 and sizes[-1] <= sum(bool(line.strip()) for line in rest.splitlines())


def _is_pattern(words: list[str], sizes: list[float]) -> bool:
    """Whether a pattern such as `slice_%03d.raw 1 90 1` has one number, and names a file for each slice."""
    name, *numbers = words
    if " ".join(words).count("%") != 1 or _CONVERSION.search(name) is None or not sizes:
        return False
    if len(numbers) < 2:
        return True  # from one file to the next, as many as there are slices
    if len(numbers) != 3 or not all(abs(_number(one)) < 2**31 for one in numbers):
        return False
    first, last, step = (int(_number(one)) for one in numbers)
    return step > 0 and len(range(first, last + 1, step)) == sizes[-1]


def _number(text: str) -> float:
    """A decimal number; NaN for what is none, of which every comparison is false."""
    try:
        return float(text)
    except ValueError:
        return math.nan
