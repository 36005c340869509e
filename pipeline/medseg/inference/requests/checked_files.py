"""Whether a model may read the files of a request: where they lie, and what they grow to."""

from __future__ import annotations

import zlib
from pathlib import Path

from medseg.errors import ScanError
from medseg.inference.inputs.digest import with_voxel_files
from medseg.inference.inputs.given_files import list_given
from medseg.inference.requests.named_files import named_files
from medseg.inference.requests.request_limits import RequestLimits
from medseg.scans.dicom import inflated_bytes
from medseg.scans.unpacked import open_unpacked

_PIECE = 1 << 20
SMALLER = "send a smaller part of it, or predict it with medseg predict"


def check_files(place: Path, root: Path, limits: RequestLimits) -> None:
    """Refuse files that lie elsewhere, name files elsewhere, or are too many or too large; nothing is unpacked whole.

    Args:
        place: File or folder of a request.
        root: Folder below which everything must lie, links followed.
        limits: Limits of the request.

    Raises:
        ScanError: If a rule is broken.
    """
    files = tuple(dict.fromkeys(with_voxel_files(list_given([place], without=None).listed.files)))
    check_count(len(files), limits)
    files = tuple(dict.fromkeys((*files, *sorted(named_files(files)))))
    folder = root.resolve()
    if not all(path.resolve().is_relative_to(folder) for path in files):
        raise ScanError(
            "every file of a request must lie below the folder that is allowed, got a link to another",
            remedy="put the files themselves there",
        )
    size = 0
    for path in files:
        size += _unpacked_bytes(path, limits.most_bytes - size)
        check_bytes(size, limits)


def check_count(count: int, limits: RequestLimits) -> None:
    """Refuse a request of too many files.

    Raises:
        ScanError: If it has more.
    """
    if count > limits.most_files:
        raise ScanError(
            f"a scan must have at most {limits.most_files} files, got {count} or more",
            remedy="send its series alone",
        )


def check_bytes(size: int, limits: RequestLimits) -> None:
    """Refuse a request of too many bytes.

    Raises:
        ScanError: If it has more.
    """
    if size > limits.most_bytes:
        raise ScanError(
            f"a scan must have at most {limits.most_bytes} bytes unpacked, got {size} or more", remedy=SMALLER
        )


def _unpacked_bytes(path: Path, most: int) -> int:
    """Bytes of a file, unpacked, counted until they are more than allowed; of a damaged one as far as it goes."""
    size = path.stat().st_size
    if not path.name.lower().endswith(".gz"):
        return max(size, inflated_bytes(path, most=most))
    counted = 0
    try:
        with open_unpacked(path) as stream:
            while counted <= most and (content := stream.read(_PIECE)):
                counted += len(content)
    except (OSError, EOFError, zlib.error):  # reading it says what is damaged
        return max(size, counted)
    return counted
