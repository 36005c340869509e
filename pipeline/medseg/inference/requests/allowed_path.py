"""Paths that a request may name: those below one folder, which whoever loads the model has named."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import ScanError


def allowed_path(path: str, root: Path | None) -> Path:
    """The path of a request, if it is allowed; whether any other path exists is not told.

    Args:
        path: Path that a request names, absolute or relative to the folder; links in it are followed.
        root: Folder below which paths are allowed; None if none is.

    Raises:
        ScanError: If the path is not allowed, or does not exist.
    """
    if root is None:
        raise ScanError(
            "a request must hold the bytes of its scan, got a path, which this model was not loaded to read",
            remedy="send the bytes in the column scan, or load the model with a folder as paths_below",
        )
    folder = root.resolve()
    try:
        place = (folder / path).resolve()
        is_readable = place.is_relative_to(folder) and place.exists()
    except (OSError, ValueError, RuntimeError):  # too long, with a null, or a loop of links
        is_readable = False
    if not is_readable:
        raise ScanError(
            "the path of a request must be that of a file or folder below the folder that is allowed, got another",
            remedy="name one below that folder, or send the bytes in the column scan",
        )
    return place
