"""Paths of a dataset.json that was written on Windows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medseg.errors import ManifestError

_BACKSLASHES = re.compile(r"\\+")
_KEYS = ("image", "images", "label")
_NAMED = ("raters", "quantities")


def with_slashes(content: dict[str, Any], root: Path) -> dict[str, Any]:
    """The content with the backslashes in the paths of its entries read as slashes.

    Args:
        content: Content of a dataset.json, which is returned itself where no path holds a backslash.
        root: Folder that its paths are relative to.

    Raises:
        ManifestError: If a file exists whose very name holds the backslashes, and its entry has no case id.
    """
    changed: dict[str, Any] = {}
    for key, listed in content.items():
        if isinstance(listed, list) and any(_has_backslash(entry) for entry in listed):
            changed[key] = [_entry(entry, root) for entry in listed]
    dataset = content.get("dataset")
    if isinstance(dataset, dict) and any(_has_backslash(entry) for entry in dataset.values()):
        changed["dataset"] = {case_id: _entry(entry, root, is_named=True) for case_id, entry in dataset.items()}
    return {**content, **changed} if changed else content


def _has_backslash(entry: Any) -> bool:
    """Whether a path of an entry holds a backslash."""
    if isinstance(entry, str):
        return "\\" in entry
    if isinstance(entry, list):
        return any(isinstance(path, str) and "\\" in path for path in entry)
    if not isinstance(entry, dict):
        return False
    return any(_has_backslash(one) for one in (*(entry.get(key) for key in _KEYS), _named(entry)))


def _entry(entry: Any, root: Path, *, is_named: bool = False) -> Any:
    if not isinstance(entry, dict):
        return _paths(entry, root, is_named=is_named)
    is_named = is_named or "case_id" in entry
    paths = {key: _paths(entry[key], root, is_named=is_named) for key in _KEYS if key in entry}
    for key in _NAMED:
        if isinstance(entry.get(key), dict):
            paths[key] = {name: _paths(path, root, is_named=is_named) for name, path in entry[key].items()}
    sums = entry.get("sha256")
    if isinstance(sums, dict):
        paths["sha256"] = {_paths(path, root, is_named=True): value for path, value in sums.items()}
    return {**entry, **paths}


def _named(entry: dict[str, Any]) -> list[Any]:
    """Paths of an entry that stand under names, those of raters and quantities."""
    return [path for key in _NAMED if isinstance(entry.get(key), dict) for path in entry[key].values()]


def _paths(listed: Any, root: Path, *, is_named: bool) -> Any:
    """A path or a list of paths with slashes; the name of a file that exists stays."""
    if isinstance(listed, list):
        return [_paths(path, root, is_named=is_named) for path in listed]
    if not isinstance(listed, str) or "\\" not in listed:
        return listed
    if not (root / listed).is_file():
        return _BACKSLASHES.sub("/", listed)
    if is_named:
        return listed
    raise ManifestError(
        f"file names must hold no backslash, got the file {listed!r}",
        remedy="move the file to the folder that its name gives",
    )
