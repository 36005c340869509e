"""Reasons why a file cannot be read, without its folder: folders may be named after patients."""

from __future__ import annotations

from pathlib import Path


def reason_without_folders(error: Exception, path: Path) -> str:
    """The reason that a library's error gives, with the file's folder left out."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    for folder in (str(path.absolute().parent), str(path.parent)):
        if folder not in (".", "/"):
            text = text.replace(folder, "…")
    return text or type(error).__name__
