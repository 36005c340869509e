"""One process at a time in a folder; a process that is killed leaves no lock behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import DeliveryError


@contextmanager
def locked_folder(folder: Path, *, is_awaited: bool = False, by: str = "prediction") -> Iterator[None]:
    """Hold a folder, which must exist, against other processes and threads; the system lets go of it at the end.

    Where the file system has no locks, as on some network drives, nothing is held.

    Args:
        folder: Folder to hold.
        is_awaited: Whether to wait for another one that holds it, and not to refuse.
        by: What holds it, for the error.

    Raises:
        DeliveryError: If another one holds it, and is not waited for.
    """
    kind = fcntl.LOCK_EX if is_awaited else fcntl.LOCK_EX | fcntl.LOCK_NB
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, kind)
        except BlockingIOError as error:
            raise DeliveryError(
                f"output folder {folder} must not be in use, got another {by} that writes there",
                remedy="wait for its end, or choose another folder",
            ) from error
        except OSError:
            pass
        yield
    finally:
        os.close(descriptor)
