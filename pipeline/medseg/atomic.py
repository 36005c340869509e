"""Files and folders that exist whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medseg.errors import DeliveryError
from medseg.text import printable

_TEMPORARY = re.compile(r"^\.[0-9a-f]{32}\.part")


@contextmanager
def atomic_path(target: Path, *, suffix: str = "") -> Iterator[Path]:
    """A temporary path beside `target` that takes its name once the block has ended well.

    Args:
        target: File or folder to make; an existing file is replaced, a folder must not exist yet.
        suffix: Ending of the temporary name, for writers that choose a format by it.

    Raises:
        DeliveryError: If writing fails, as on a full disk; the temporary file or folder is removed.
    """
    # Without the target's name, which may be as long as the file system allows.
    temporary = target.with_name(f"{temporary_name()}{suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise _unwritable(error, target) from error
    finally:
        with suppress(OSError):
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)


def _unwritable(error: OSError, target: Path) -> DeliveryError:
    if error.errno == errno.ENAMETOOLONG:
        size = len(os.fsencode(target.name))
        return DeliveryError(
            f"{printable(target.name)}: must be writable in {target.parent}, got a too long name, {size} bytes",
            remedy="shorten the name of the scan, case or folder",
        )
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, None)  # NumPy names no number when a write falls short
    reason = "the disk is full" if is_full else error.strerror
    return DeliveryError(
        f"{target.name}: must be writable in {target.parent}, got: {reason}",
        remedy="free space or choose another folder" if is_full else "choose another folder",
    )


@contextmanager
def replacing_folder(parent: Path) -> Iterator[tuple[Path, Callable[[Path], None]]]:
    """An empty folder under a temporary name, and a function that moves it to where it belongs.

    Args:
        parent: Folder in which it is made; created if missing.

    Returns:
        A context that gives the folder and the function, which takes the target, a name in `parent`. A folder that has
        the name already is removed once the new one has it. What was not moved is removed in the end.

    Raises:
        DeliveryError: If writing fails, as on a full disk.
    """
    temporary = parent / temporary_name()

    def move(target: Path) -> None:
        old = target.with_name(temporary_name())
        if os.path.lexists(target):
            target.rename(old)
        temporary.rename(target)
        _remove(old)

    try:
        temporary.mkdir(parents=True)
        yield temporary, move
    except OSError as error:
        raise _unwritable(error, parent / "files of a case") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder, if it is there; a kill leaves it whole, or under a temporary name alone."""
    if os.path.lexists(folder):
        _remove(folder.rename(folder.with_name(f".{uuid.uuid4().hex}.part")))


def temporary_name() -> str:
    """A new name that `remove_leftovers` knows."""
    return f".{uuid.uuid4().hex}.part"


def is_leftover(path: Path) -> bool:
    """Whether a path has the temporary name of a file that was being written when its process was killed."""
    return _TEMPORARY.match(path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder, which no process may be writing to now."""
    for path in folder.iterdir():
        if is_leftover(path):
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a file, a folder or a link, but never what a link leads to; one that cannot be removed stays."""
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all; what is no text is written as `printable` gives it."""
    with atomic_path(target) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def check_writable(folder: Path, *, option: str) -> Path:
    """Refuse a folder that cannot be written, before any work is done for it.

    Args:
        folder: Folder, which need not exist yet; nothing is left in it.
        option: Name of the option that chooses the folder.

    Raises:
        DeliveryError: If neither the folder nor the nearest one above it that exists can be written.
    """
    nearest = Path(os.path.abspath(folder))  # noqa: PTH100  # a link in the path is followed, not resolved
    while not os.path.lexists(nearest) and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return folder
    except OSError as error:
        raise DeliveryError(
            f"folder {printable(str(folder))}: must be writable, got: {error.strerror}",
            remedy=f"choose another with the option {option}",
        ) from error


def write_json(target: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinity become null."""
    write_text(target, json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def finite(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinity, at any depth, become None, and keys texts."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
