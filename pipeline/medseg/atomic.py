"""Files and folders that exist whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from medseg.errors import DeliveryError


@contextmanager
def atomic_path(target: Path, *, suffix: str = "") -> Iterator[Path]:
    """A temporary path beside `target` that takes its name once the block has ended well.

    Args:
        target: File or folder to make; an existing file is replaced, a folder must not exist yet.
        suffix: Ending of the temporary name, for writers that choose a format by it.

    Raises:
        DeliveryError: If writing fails, as on a full disk; the temporary file or folder is removed.
    """
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part{suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, None)  # NumPy names no number when a write falls short
        reason = "the disk is full" if is_full else error.strerror
        raise DeliveryError(
            f"{target.name}: must be writable in {target.parent}, got: {reason}",
            remedy="free space or choose another folder" if is_full else "choose another folder",
        ) from error
    finally:
        with suppress(OSError):
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; NaN and infinity become null."""
    write_text(target, json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
