"""Whether an NRRD or MetaImage file holds the voxels that its header promises.

ITK allocates as much memory as the header claims, and returns it unfilled where the compressed voxels are damaged.
"""

from __future__ import annotations

import bz2
import zlib
from pathlib import Path
from typing import IO, NamedTuple

from medseg.errors import ScanError

_LONGEST_HEADER = 1 << 20
_CHUNK = 1 << 20
_NRRD_ENCODINGS = {"raw": "raw", "gzip": "zlib", "gz": "zlib", "bzip2": "bzip2", "bz2": "bzip2"}


class Storage(NamedTuple):
    """Place of the voxels: the file, their first byte in it, and `raw`, `zlib` (gzip too) or `bzip2`."""

    file: Path
    start: int
    encoding: str


def check_storage(path: Path, promised_bytes: int) -> None:
    """Refuse a file that holds fewer voxels than it promises, or whose compressed voxels are damaged.

    Voxels as text or in several files are left to ITK.

    Raises:
        ScanError: If the file is short or damaged; the message names no file.
    """
    storage = _nrrd_storage(path) if path.name.lower().endswith((".nrrd", ".nhdr")) else _metaimage_storage(path)
    if storage is None or not storage.file.is_file():
        return
    with storage.file.open("rb") as stream:
        stream.seek(storage.start)
        held = _size_of_rest(stream) if storage.encoding == "raw" else _unpacked_size(stream, storage, promised_bytes)
    if held < promised_bytes:
        raise ScanError(f"{held} of the {promised_bytes} bytes of voxels that its header promises")


def _size_of_rest(stream: IO[bytes]) -> int:
    start = stream.tell()
    return stream.seek(0, 2) - start


def _unpacked_size(stream: IO[bytes], storage: Storage, enough: int) -> int:
    """Unpacked size of the compressed voxels, counted until it is enough; checksums are verified on the way."""
    size = 0
    try:
        if storage.encoding == "bzip2":
            with bz2.open(stream) as unpacked:
                while size <= enough and (part := unpacked.read(_CHUNK)):
                    size += len(part)
            return size
        unpacker = zlib.decompressobj(wbits=47)  # zlib or gzip, by its first bytes
        while not unpacker.eof and size <= enough:
            packed = unpacker.unconsumed_tail or stream.read(_CHUNK)
            if not packed:
                raise EOFError
            size += len(unpacker.decompress(packed, _CHUNK))
    except (zlib.error, EOFError, OSError, ValueError):
        raise ScanError("damaged compressed voxels") from None
    return size


def _nrrd_storage(path: Path) -> Storage | None:
    """Storage by the fields `encoding` and `data file`; the header ends with an empty line."""
    content = _head(path)
    ends = [content.find(gap) + len(gap) for gap in (b"\n\n", b"\r\n\r\n") if gap in content]
    start = min(ends, default=len(content))
    fields = _fields(content[:start], ":")
    encoding = _NRRD_ENCODINGS.get(fields.get("encoding", "").lower())
    detached = fields.get("data file") or fields.get("datafile")
    if encoding is None or "byte skip" in fields or "line skip" in fields:
        return None
    if detached is not None:
        return None if "%" in detached or detached.startswith("LIST") else Storage(path.parent / detached, 0, encoding)
    return Storage(path, start, encoding) if ends else None


def _metaimage_storage(path: Path) -> Storage | None:
    """Storage by the fields `CompressedData` and `ElementDataFile`, the last line of the header."""
    content = _head(path)
    key = content.find(b"ElementDataFile")
    end = content.find(b"\n", key) + 1
    if key < 0 or not end:
        return None
    fields = _fields(content[:end], "=")
    encoding = "zlib" if fields.get("compresseddata", "").lower() == "true" else "raw"
    name = fields.get("elementdatafile")
    if name is None:  # behind another separator, or in the text of another field
        return None
    if name.upper() in ("LOCAL", "LOCALTEXT"):
        return Storage(path, end, encoding) if fields.get("binarydata", "true").lower() == "true" else None
    is_plain = name.upper() != "LIST" and "%" not in name and "headersize" not in fields
    return Storage(path.parent / name, 0, encoding) if is_plain else None


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_LONGEST_HEADER)


def _fields(header: bytes, separator: str) -> dict[str, str]:
    """Keys in lower case and values of a header with one field per line."""
    fields = {}
    for line in header.decode("latin-1").splitlines():
        key, found, value = line.partition(separator)
        if found:
            fields[key.strip().lower()] = value.lstrip("=").strip()
    return fields
