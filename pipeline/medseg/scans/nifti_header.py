"""The header of a NIfTI file as it is stored, before nibabel corrects anything."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, Literal

UNIT_MM = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}
_BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")


def read_header(path: Path) -> tuple[Any, bytes]:
    """The header as it is stored, unchecked, and the bytes of its file; of a pair, those of the `.hdr`."""
    import nibabel

    file = header_file(path)
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        content = stream.read(540)
    kind: Any = nibabel.Nifti2Header if is_nifti2(content) else nibabel.Nifti1Header
    return kind(content[: kind.sizeof_hdr], check=False), content


def is_nifti2(content: bytes) -> bool:
    """Whether a header begins with the size of NIfTI-2's, in either byte order."""
    return 540 in (int.from_bytes(content[:4], order) for order in _BYTE_ORDERS)


def header_file(path: Path) -> Path:
    """The file that holds the header: of a pair the `.hdr`."""
    if path.suffix.lower() != ".img":
        return path
    return next((file for end in (".hdr", ".HDR") if (file := path.with_suffix(end)).is_file()), path)
