"""The scan of a request as files, in a folder that is the request's own."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from medseg.errors import ScanError
from medseg.inference.requests.allowed_path import allowed_path
from medseg.inference.requests.named_files import check_named_files
from medseg.inference.requests.scan_request import ScanRequest
from medseg.manifest.case_names import safe_name
from medseg.scans import SCAN_SUFFIXES, scan_stem

MOST_BYTES = 8 * 2**30
_DICOM_PREAMBLE = 128
_LONGEST_STEM = 60


@contextmanager
def unpacked(request: ScanRequest, *, root: Path | None = None, most_bytes: int = MOST_BYTES) -> Iterator[Path]:
    """The file or folder of a request's scan; what was written for it is gone afterwards.

    Args:
        request: Request with bytes or a path.
        root: Folder below which paths are allowed; None if none is.
        most_bytes: Most bytes that the zips of a request may hold unpacked, all together.

    Raises:
        ScanError: If the path is not allowed, a zip is damaged or too large, or a header names a file elsewhere.
    """
    if request.path:
        yield allowed_path(request.path, root)
        return
    with tempfile.TemporaryDirectory(prefix="medseg_request_") as folder:
        place = Path(folder) / "scan"
        place.mkdir()
        _write(request, place, most_bytes)
        check_named_files(place)
        yield place


def _write(request: ScanRequest, place: Path, most_bytes: int) -> None:
    stem, suffix = _name_of(request)
    is_zip = suffix == ".zip"
    for number, part in enumerate(request.parts):
        if is_zip:
            most_bytes -= _unzip(part, place / (f"{stem}_{number:04d}" if number else stem), most_bytes)
        else:
            channel = f"_{number:04d}" if len(request.parts) > 1 else ""
            (place / f"{stem}{channel}{suffix}").write_bytes(part)


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


def _unzip(content: bytes, folder: Path, most_bytes: int) -> int:
    """Unpack a zip and count its bytes; names that lead out of the folder lead into it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(one.file_size for one in archive.infolist())
            if size > most_bytes:
                raise ScanError(
                    f"a zip must hold at most {most_bytes} bytes unpacked, got {size}",
                    remedy="send the series alone, or predict the study from its folder",
                )
            archive.extractall(folder)
            return size
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ScanError(
            f"a zip must be whole and without a password, got: {reason}", remedy="pack the files again"
        ) from error
