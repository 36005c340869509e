"""The scan of a request as files, in a folder that is the request's own."""

from __future__ import annotations

import errno
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from medseg.errors import ScanError
from medseg.inference.requests.allowed_path import allowed_path
from medseg.inference.requests.checked_files import check_bytes, check_count, check_files
from medseg.inference.requests.request_limits import RequestLimits
from medseg.inference.requests.scan_request import ScanRequest
from medseg.manifest.case_names import safe_name
from medseg.scans import SCAN_SUFFIXES, scan_stem

_DICOM_PREAMBLE = 128
_LONGEST_STEM = 60
_ENTRY = b"PK\x01\x02"  # before each file in a zip's list of them
_BAD_NAMES = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ)
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others take as much memory as the zip names


@contextmanager
def unpacked(request: ScanRequest, *, root: Path | None = None, limits: RequestLimits | None = None) -> Iterator[Path]:
    """The file or folder of a request's scan; what was written for it is gone afterwards.

    Args:
        request: Request with bytes or a path.
        root: Folder below which paths are allowed; None if none is.
        limits: Limits of the request; the usual ones if not given.

    Raises:
        ScanError: If the path is not allowed, a zip is damaged, files are too many or too large, or a header or link
            leads to a file elsewhere.
    """
    limits = limits or RequestLimits()
    if request.path:
        place = allowed_path(request.path, root)
        check_files(place, root or place, limits)
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="medseg_request_") as folder:
        place = Path(folder) / "scan"
        place.mkdir()
        _write(request, place, limits)
        check_files(place, place, limits)
        yield place


def _write(request: ScanRequest, place: Path, limits: RequestLimits) -> None:
    stem, suffix = _name_of(request)
    check_count(len(request.parts), limits)
    check_bytes(sum(map(len, request.parts)), limits)
    if suffix != ".zip":
        for number, part in enumerate(request.parts):
            channel = f"_{number:04d}" if len(request.parts) > 1 else ""
            (place / f"{stem}{channel}{suffix}").write_bytes(part)
        return
    check_count(sum(part.count(_ENTRY) for part in request.parts), limits)
    size = 0
    for number, part in enumerate(request.parts):
        size = _unzip(part, place / (f"{stem}_{number:04d}" if number else stem), size, limits)


def _name_of(request: ScanRequest) -> tuple[str, str]:
    """Stem and ending of the file to write; the bytes tell the form where the name does not."""
    first = request.parts[0] if request.parts else b""
    name = PurePosixPath(request.name.replace("\\", "/")).name
    known = next((one for one in (*SCAN_SUFFIXES, ".dcm", ".zip") if name.lower().endswith(one)), None)
    suffix = ".zip" if first.startswith(b"PK\x03\x04") else known or _suffix_of(first)
    stem = scan_stem(PurePosixPath(name)) if known else name
    return safe_name(stem or "scan")[:_LONGEST_STEM], suffix


def _suffix_of(content: bytes) -> str:
    """The ending of bytes without a name: NIfTI, unless they say that they are something else."""
    if content[_DICOM_PREAMBLE : _DICOM_PREAMBLE + 4] == b"DICM":
        return ".dcm"
    if content.startswith(b"\x89PNG"):
        return ".png"
    return ".nii.gz" if content.startswith(b"\x1f\x8b") else ".nii"


def _unzip(content: bytes, folder: Path, size: int, limits: RequestLimits) -> int:
    """Unpack a zip and add its bytes to those before; names that lead out of the folder lead into it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size += sum(one.file_size for one in archive.infolist())
            check_bytes(size, limits)
            if any(one.compress_type not in _PACKINGS for one in archive.infolist()):
                raise ValueError("files that are neither stored nor deflated")
            archive.extractall(folder)
            return size
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise _bad_zip(reason) from error
    except OSError as error:
        if error.errno not in _BAD_NAMES:
            raise
        raise _bad_zip(f"a name of a file with: {error.strerror}") from error


def _bad_zip(reason: str) -> ScanError:
    return ScanError(f"a zip must be whole and without a password, got: {reason}", remedy="pack the files again")
