"""The scan of a request as files, in a folder that is the request's own."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.inference.requests.allowed_path import allowed_path
from medseg.inference.requests.checked_files import check_bytes, check_count, check_files
from medseg.inference.requests.file_name import ZIP, file_name
from medseg.inference.requests.request_limits import RequestLimits
from medseg.inference.requests.scan_request import ScanRequest
from medseg.inference.requests.unzip import entry_count, unzip


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
    stem, suffix = file_name(request.name, request.parts[0] if request.parts else b"")
    check_count(len(request.parts), limits)
    check_bytes(sum(map(len, request.parts)), limits)
    if suffix != ZIP:
        for number, part in enumerate(request.parts):
            channel = f"_{number:04d}" if len(request.parts) > 1 else ""
            (place / f"{stem}{channel}{suffix}").write_bytes(part)
        return
    zips = [io.BytesIO(part) for part in request.parts]
    counts = [entry_count(content) for content in zips]
    size = 0
    for number, content in enumerate(zips):
        folder = place / (f"{stem}_{number:04d}" if number else stem)
        size = unzip(content, folder, limits, size=size, count=sum(counts) - counts[number])
