"""The folder of a training, held against a second training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medseg.atomic import check_writable
from medseg.inference.folder_lock import locked_folder
from medseg.runs.run_folder import RunFolder
from medseg.runs.settings import TrainingSettings
from medseg.training.ranks import is_first_rank


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Make a folder and hold it; what was made for a training that left nothing in it is removed in the end.

    A process that is killed holds nothing any more. Of a distributed training, the first process alone holds it.

    Args:
        folder: Output folder of a training.

    Raises:
        DeliveryError: If the folder cannot be written, or another training holds it.
    """
    is_file = folder.exists() and not folder.is_dir()
    if is_file or not is_first_rank():  # what is wrong with a file is said by who reads it
        yield
        return
    check_writable(folder, option="out")
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked_folder(folder, by="training"):
            yield
    finally:
        for place in made:
            with suppress(OSError):
                place.rmdir()


@contextmanager
def freed_without_a_record(settings: TrainingSettings) -> Iterator[None]:
    """Leave a folder free again if a training that is not to be resumed ends before it has a record."""
    try:
        yield
    except BaseException:
        if not settings.resume:
            RunFolder(settings.out).forget_start()
        raise
