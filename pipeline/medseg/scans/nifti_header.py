"""The header of a NIfTI file as it is stored, before nibabel corrects anything."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any


def read_header(path: Path) -> tuple[Any, bytes]:
    """The header as it is stored, unchecked, and the bytes of its file; of a pair, those of the `.hdr`."""
    import nibabel

    file = header_file(path)
    with gzip.open(file) if file.name.lower().endswith(".gz") else file.open("rb") as stream:
        content = stream.read(540)
    is_second = {540}.intersection(int.from_bytes(content[:4], order) for order in ("little", "big"))
    kind: Any = nibabel.Nifti2Header if is_second else nibabel.Nifti1Header
    return kind(content[: 540 if is_second else 348], check=False), content


def header_file(path: Path) -> Path:
    """The file that holds the header: of a pair the `.hdr`."""
    if path.suffix.lower() != ".img":
        return path
    return next((file for end in (".hdr", ".HDR") if (file := path.with_suffix(end)).is_file()), path)
