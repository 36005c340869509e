"""A folder of masks that one prediction begins and others finish."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

from medseg.atomic import remove_leftovers
from medseg.errors import PipelineError
from medseg.inference.case_record import CaseRecord
from medseg.inference.folder_lock import locked_folder
from medseg.inference.mask_folder_check import check_mask_folder
from medseg.inference.mask_page.picture import PICTURES, picture_path
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.sidecar import Sidecar, load_sidecars, save_sidecar, sidecar_path
from medseg.scans import read_label

MAPS = "probabilities"
"""Folder of the probability maps in a folder of masks, and the choice by which they are written."""
_SUFFIXES = (".nii.gz", ".png")
_log = logging.getLogger(__name__)


class MaskFolder:
    """Masks of one model and one choice of settings, each finished once its sidecar stands beside it.

    Args:
        path: The folder, which exists.
        settings: What decides the masks beside the scans.
        finished: Records of the finished cases by their id; read from the folder if not given.

    Attributes:
        finished: Records of the finished cases by their id.
    """

    def __init__(self, path: Path, settings: MaskSettings, *, finished: dict[str, CaseRecord] | None = None) -> None:
        self.path = path
        self.settings = settings
        read = finished is None
        self.finished = {record.case_id: record for record in self._read_finished()} if read else dict(finished or {})

    @classmethod
    @contextmanager
    def opened(cls, path: Path, settings: MaskSettings) -> Iterator[Self]:
        """Hold a folder that is new, empty or of an earlier prediction with the same settings.

        Args:
            path: The folder, created if missing.
            settings: What decides the masks beside the scans.

        Raises:
            ConfigError: If it holds something else, which is left as it is.
            DeliveryError: If another process writes there, or its record is damaged.
        """
        check_mask_folder(path, settings)
        path.mkdir(parents=True, exist_ok=True)
        with locked_folder(path):
            check_mask_folder(path, settings)  # it may have been begun just now
            folder = cls(path, settings)
            folder.remove_leftovers()
            yield folder

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half-written; no process may be writing to the folder."""
        for path in (self.path, self.path / PICTURES, self.path / MAPS):
            if path.is_dir():
                remove_leftovers(path)

    def holds(self, case_id: str, input_sha256: str) -> bool:
        """Whether a case is finished: its mask was drawn from an input of this checksum, and is whole.

        A mask that was changed since it was written and can be read is a person's work: it stays, and the record of the
        case says so.
        """
        record = self.finished.get(case_id)
        if record is None or record.source is None or record.source.sha256 != input_sha256:
            return False
        if self._is_as_drawn(record):
            return True
        if not _is_readable(self.path / record.mask, case_id):
            return False
        self.finished[case_id] = record.model_copy(update={"is_edited": True})
        return True

    def discard(self, case_id: str) -> None:
        """Remove what was drawn of a case from another input; a mask that a person changed is set aside."""
        record = self.finished.pop(case_id, None)
        path = sidecar_path(self.path, case_id)
        if os.path.lexists(path):  # which is false of a name that is too long
            path.unlink()  # first, since without its sidecar no mask counts as finished
        with suppress(OSError):
            picture_path(self.path, case_id).unlink(missing_ok=True)
        shutil.rmtree(maps_folder(self.path, case_id), ignore_errors=True)
        if record is None or not os.path.lexists(self.path / record.mask):
            return
        if self._is_as_drawn(record):
            (self.path / record.mask).unlink()
        else:
            self._warn(case_id, self._set_aside(case_id, self.path / record.mask))

    @contextmanager
    def replacing(self, case_id: str) -> Iterator[None]:
        """Make room for a mask that is written in the block; masks of which nothing is known are set aside.

        One that is the same as the new mask, as after a kill between a mask and its sidecar, is removed in the end.
        """
        self.discard(case_id)
        masks = [self.path / f"{case_id}{suffix}" for suffix in _SUFFIXES]
        aside = [self._set_aside(case_id, path) for path in masks if os.path.lexists(path)]
        try:
            yield
        finally:
            written = {file_sha256(path) for path in masks if aside and path.exists()}
            for path in aside:
                if file_sha256(path) in written:
                    path.unlink()
                else:
                    self._warn(case_id, path)

    def finish(self, sidecar: Sidecar) -> None:
        """Record a case whose mask is written."""
        save_sidecar(sidecar, self.path)
        self.finished[sidecar.case_id] = sidecar.case

    def records(self, asked: Sequence[str]) -> tuple[CaseRecord, ...]:
        """Records of the finished cases: those asked for in their order, then the others by their id."""
        others = sorted(set(self.finished) - set(asked))
        return tuple(self.finished[case_id] for case_id in (*asked, *others) if case_id in self.finished)

    def _read_finished(self) -> Iterator[CaseRecord]:
        for sidecar in load_sidecars(self.path):
            if sidecar.settings_digest == self.settings.digest and (self.path / sidecar.mask).is_file():
                yield sidecar.case

    def _is_as_drawn(self, record: CaseRecord) -> bool:
        return file_sha256(self.path / record.mask) == record.mask_sha256

    def _set_aside(self, case_id: str, path: Path) -> Path:
        """Rename a mask to a name that no case has, and give that name."""
        ending = path.name[len(case_id) :]
        names = (f"{case_id}.set_aside{'' if number == 1 else f'_{number}'}{ending}" for number in count(1))
        target = next(self.path / name for name in names if not os.path.lexists(self.path / name))
        return path.rename(target)

    def _warn(self, case_id: str, path: Path) -> None:
        _log.warning("case %s: the mask that was there is not as it was drawn; it is kept as %s", case_id, path.name)


def _is_readable(path: Path, case_id: str) -> bool:
    try:
        read_label(path, case_id=case_id)
    except (PipelineError, OSError):
        return False
    return True


def maps_folder(folder: Path, case_id: str) -> Path:
    """Folder of the probability maps of a case in a folder of masks."""
    return folder / MAPS / case_id


def file_sha256(path: Path) -> str | None:
    """SHA-256 of a file; None if it cannot be read."""
    with suppress(OSError), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return None
