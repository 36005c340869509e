"""Locks by which the workers of a search keep out of each other's way; a process that is killed leaves none behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from medseg.errors import DeliveryError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for a lock, and hold it.

    Raises:
        DeliveryError: If the file system has no locks.
    """
    lock = _lock(path)
    try:
        lock.acquire()
    except OSError as error:
        raise _without_locks(path, error) from error
    try:
        yield
    finally:
        lock.release()


class Claim:
    """The work on one training of a search, which one worker does at a time.

    The system lets go of it when the worker ends, however that is, so that another one can take the training up.

    Args:
        path: File of the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: FileLock | None = None

    def take(self) -> bool:
        """Take it, unless another worker has it.

        Raises:
            DeliveryError: If the file system has no locks.
        """
        lock = _lock(self._path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:
            raise _without_locks(self._path, error) from error
        self._held = lock
        return True

    def release(self) -> None:
        """Let go of it."""
        if self._held is not None:
            self._held.release()
            self._held = None


def _lock(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, thread_local=False)


def _without_locks(path: Path, error: OSError) -> DeliveryError:
    return DeliveryError(
        f"search folder {path.parent.parent}: must be on a file system with locks, got: {error.strerror}",
        remedy="choose a folder on another disk, such as one of NFS 4",
    )
