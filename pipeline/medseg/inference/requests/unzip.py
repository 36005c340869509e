"""A zip from outside, unpacked below one folder, within limits."""

from __future__ import annotations

import errno
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from medseg.errors import ScanError
from medseg.inference.requests.checked_files import check_bytes, check_count
from medseg.inference.requests.request_limits import RequestLimits

_ENTRY = b"PK\x01\x02"  # before each file in a zip's list of them
_PIECE = 1 << 20
_DEEPEST = 32
_BAD_NAMES = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ)
_BAD_PLACES = (errno.EINVAL, errno.EOVERFLOW)  # a place before the begin of the zip, or far beyond any file's end
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others take as much memory as the zip names


def entry_count(content: BinaryIO) -> int:
    """Files that the list of a zip may name, counted without reading the list, which may be long."""
    content.seek(0)
    count, rest = 0, b""
    while piece := content.read(_PIECE):
        count += (rest + piece).count(_ENTRY)
        rest = piece[1 - len(_ENTRY) :]  # of a mark that lies across two pieces; too short to hold one itself
    return count


def unzip(content: BinaryIO, folder: Path, limits: RequestLimits, *, size: int = 0, count: int = 0) -> int:
    """Unpack a zip; names that lead out of the folder lead into it, and links in it become files.

    Args:
        content: The zip, which can be read from any place.
        folder: Folder to unpack into.
        limits: Limits of the request.
        size: Bytes of what was unpacked for the request before.
        count: Files of the request's other zips, at most.

    Returns:
        Bytes of all that is unpacked for the request now.

    Raises:
        ScanError: If the zip is damaged, or holds too many or too large files.
    """
    check_count(count + entry_count(content), limits)
    content.seek(0)
    try:
        with zipfile.ZipFile(content) as archive:
            listed = archive.infolist()
            size += sum(one.file_size for one in listed)
            check_bytes(size, limits)
            if any(one.compress_type not in _PACKINGS for one in listed):
                raise ValueError("files that are neither stored nor deflated")
            if any(len(PurePosixPath(one.filename).parts) > _DEEPEST for one in listed):
                raise ValueError(f"files in more than {_DEEPEST - 1} folders within each other")
            archive.extractall(folder)
            return size
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _bad_zip(reason) from error
    except OSError as error:
        if error.errno in _BAD_PLACES:
            raise _bad_zip("files at places that it does not have") from error
        if error.errno not in _BAD_NAMES:
            raise
        raise _bad_zip(f"a name of a file with: {error.strerror}") from error


def _bad_zip(reason: str) -> ScanError:
    return ScanError(f"a zip must be whole and without a password, got: {reason}", remedy="pack the files again")
