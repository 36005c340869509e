"""The scan of a request whose bytes lie in a file already, as a server writes them while they come in."""

from __future__ import annotations

from pathlib import Path

from medseg.inference.requests.checked_files import check_bytes, check_files
from medseg.inference.requests.file_name import FIRST_BYTES, ZIP, file_name
from medseg.inference.requests.request_limits import RequestLimits
from medseg.inference.requests.unzip import unzip


def place_received(received: Path, place: Path, *, name: str = "", limits: RequestLimits | None = None) -> None:
    """Turn received bytes into the files of a scan, and check these.

    Args:
        received: File of the bytes, which is moved or removed: a scan, one DICOM file, or a zip of a DICOM study, of a
            scan or of a file for each channel.
        place: Folder of the request alone, created if missing.
        name: Name that the client gives, whose ending tells the form; "" where the bytes are to tell it.
        limits: Limits of the request; the usual ones if not given.

    Raises:
        ScanError: If a zip is damaged, files are too many or too large, or a header leads to a file elsewhere.
    """
    limits = limits or RequestLimits()
    place.mkdir(exist_ok=True)
    check_bytes(received.stat().st_size, limits)
    with received.open("rb") as content:
        stem, suffix = file_name(name, content.read(FIRST_BYTES))
        if suffix == ZIP:
            unzip(content, place / stem, limits)
    if suffix == ZIP:
        received.unlink()
    else:
        received.rename(place / f"{stem}{suffix}")
    check_files(place, place, limits)
