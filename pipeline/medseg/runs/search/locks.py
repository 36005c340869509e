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
    claim = Claim(path)
    claim.wait()
    try:
        yield
    finally:
        claim.release()


class Claim:
    """What one worker of a search has at a time, such as the work on one training.

    The system lets go of it when the worker ends, however that is, so that another one can take it.

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
        try:
            self._acquire(timeout=0)
        except Timeout:
            return False
        return True

    def wait(self) -> None:
        """Take it as soon as no other worker has it.

        Raises:
            DeliveryError: If the file system has no locks.
        """
        self._acquire(timeout=-1)

    def _acquire(self, *, timeout: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._path, thread_local=False)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise
        except OSError as error:
            raise _without_locks(self._path, error) from error
        self._held = lock

    def release(self) -> None:
        """Let go of it."""
        if self._held is not None:
            self._held.release()
            self._held = None


def _without_locks(path: Path, error: OSError) -> DeliveryError:
    return DeliveryError(
        f"search folder {path.parent.parent}: must be on a file system with locks, got: {error.strerror}",
        remedy="choose a folder on another disk, such as one of NFS 4",
    )
