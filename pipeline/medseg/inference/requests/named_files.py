"""Files of a request that name other files: a header may name those beside it, and none elsewhere on the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from medseg.errors import ScanError
from medseg.scans import ITK_SUFFIXES

_METAIMAGE = re.compile(rb"elementdatafile\s*[=:]\s*([^\r\n]*)")
_NRRD = re.compile(rb"[\r\n]data ?file[ \t]*:\s*([^\r\n]*)")
_BLOCK, _OVERLAP = 2**24, 2**14  # bytes; a path is shorter than the overlap
_LONGEST_LIST = 2**20  # bytes of a header that lists its files
_ELSEWHERE = re.compile(rb"[\\:\0]|%.*/|(^|/)\s*(/|~|\.\.\s*(/|$))", re.DOTALL)


def named_files(files: Sequence[Path]) -> set[Path]:
    """Files that the MetaImage and NRRD headers of a request may name; refuse one that neither lies beside nor below.

    ITK reads the file whose name such a header holds, wherever it lies.

    Args:
        files: Files of the request.

    Returns:
        Those that exist.

    Raises:
        ScanError: If a header names a file elsewhere.
    """
    found = set()
    for path in files:
        names = _named(path) if path.name.lower().endswith(ITK_SUFFIXES) else ()
        for name in names:
            if _ELSEWHERE.search(name):
                raise ScanError(
                    f"file {path.name} of a request must hold its voxels or name a file beside it, got the name of "
                    "another",
                    remedy="send the scan as one NIfTI, NRRD or MetaImage file",
                )
            found.add(path.parent / os.fsdecode(name.strip()))
    return {path for path in found if os.path.isfile(path)}  # noqa: PTH113  # Path.is_file raises for a long name


def _named(path: Path) -> Iterator[bytes]:
    """Names that a program may take for those of voxel files, wherever in the file they stand."""
    known = _NRRD if path.name.lower().endswith((".nrrd", ".nhdr")) else _METAIMAGE
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            text = rest + block
            for match in known.finditer(text.lower()):
                name = text[match.start(1) : match.end(1)]
                is_list = name.lower().split()[:1] == [b"list"]
                yield from _listed(path, text[match.end() :]) if is_list else (name,)
            rest = text[-_OVERLAP:]


def _listed(path: Path, lines: bytes) -> Iterator[bytes]:
    """Names of a list, which goes on to the end of its file."""
    if path.stat().st_size > _LONGEST_LIST:
        yield b"/"  # no header is that long
    yield from lines.splitlines()
