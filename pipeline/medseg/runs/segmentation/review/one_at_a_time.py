"""One review at a time changes a data set: two at once would write one version of it twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medseg.errors import DeliveryError
from medseg.inference.folder_lock import locked_folder
from medseg.manifest.load import ManifestFile


@contextmanager
def alone_in(*folders: Path) -> Iterator[None]:
    """Hold folders against other reviews; a process that is killed lets go of them.

    Args:
        folders: Folders to hold; one that does not exist is left out.

    Raises:
        DeliveryError: If another review holds one.
    """
    with ExitStack() as held:
        for folder in sorted({folder.resolve() for folder in folders if folder.is_dir()}):
            try:
                held.enter_context(locked_folder(folder))
            except DeliveryError as error:
                raise DeliveryError(
                    f"data set in {folder} must be changed by one review at a time, got another that is at work",
                    remedy="wait for its end, and give the same files again",
                ) from error
        yield


def check_unchanged(source: ManifestFile, content: bytes) -> None:
    """Refuse to replace a manifest that was changed since it was read, such as by a split.

    Args:
        source: Manifest as it was read.
        content: Bytes of its file at that time.

    Raises:
        DeliveryError: If its file has other bytes now.
    """
    if source.path.read_bytes() != content:
        raise DeliveryError(
            f"manifest {source.path.name}: must stay as it was read while a review is taken over, got another",
            remedy="give the same files again, for the manifest as it is now",
        )
