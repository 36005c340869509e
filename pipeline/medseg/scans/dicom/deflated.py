"""How large a deflated DICOM file grows, which pydicom inflates whole while it reads the header."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from medseg.errors import ScanError
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.instance import is_dicom

if TYPE_CHECKING:
    from pydicom.tag import BaseTag

_PIECE = 1 << 20
_META_GROUP = 2


def inflated_bytes(path: Path, *, most: int) -> int:
    """Bytes of the data set of a file in the deflated transfer syntax, counted until they are more than `most`.

    Args:
        path: File of any kind.
        most: Bytes after which counting stops.

    Returns:
        0 for other files; for damaged ones what was inflated until the damage.

    Source: PS3.5 section A.5.
    """
    try:
        if not is_dicom(path):
            return 0
        with reading_dicom("header"):
            return _inflated(path, most)
    except ScanError:
        return 0


def _inflated(path: Path, most: int) -> int:
    from pydicom.filereader import read_dataset, read_preamble
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    with path.open("rb") as stream:
        read_preamble(stream, force=True)
        meta = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond_meta)
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return 0
        return _count(stream, most)


def _count(stream: BinaryIO, most: int) -> int:
    unpacker, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while size <= most:
        packed = unpacker.unconsumed_tail or stream.read(_PIECE)
        try:
            content = unpacker.decompress(packed, _PIECE)
        except zlib.error:
            break
        if not (packed or content):
            break
        size += len(content)
    return size


def _is_beyond_meta(tag: BaseTag, vr: str | None, length: int) -> Any:
    return tag.group != _META_GROUP
