"""Files of a request that name other files: a header may name those beside it, and none elsewhere on the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from medseg.errors import ScanError
from medseg.scans import ITK_SUFFIXES

_METAIMAGE = re.compile(rb"elementdatafile\s*[=:]\s*([^\r\n]*)")
_NRRD = re.compile(rb"[\r\n]data ?file[ \t]*:\s*([^\r\n]*)")
_BLOCK, _OVERLAP = 2**24, 2**14  # bytes; a path is shorter than the overlap


def check_named_files(files: Sequence[Path]) -> None:
    """Refuse a request whose MetaImage or NRRD header keeps its voxels in a file that does not lie beside it.

    ITK reads the file whose name such a header holds, wherever it lies. Lists of files are refused, too.

    Args:
        files: Files of the request.

    Raises:
        ScanError: If there is one.
    """
    for path in files:
        if path.name.lower().endswith(ITK_SUFFIXES) and not all(map(_is_beside, _named(path))):
            raise ScanError(
                f"file {path.name} of a request must hold its voxels or name a file beside it, got the name of another",
                remedy="send the scan as one NIfTI, NRRD or MetaImage file",
            )


def _named(path: Path) -> Iterator[bytes]:
    """Names in lower case that a program may take for those of voxel files, wherever in the file they stand."""
    known = _NRRD if path.name.lower().endswith((".nrrd", ".nhdr")) else _METAIMAGE
    rest = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            text = rest + block.lower()
            yield from (match[1] for match in known.finditer(text))
            rest = text[-_OVERLAP:]


def _is_beside(name: bytes) -> bool:
    words = name.split()
    return not any(mark in name for mark in b"/\\:") and words[:1] != [b"list"]
