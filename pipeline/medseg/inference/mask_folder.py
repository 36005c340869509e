"""A folder of masks that one prediction begins and others finish."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from medseg.atomic import is_leftover, remove_leftovers
from medseg.errors import ConfigError
from medseg.inference.case_record import CaseRecord
from medseg.inference.folder_lock import locked_folder
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.record import RECORD_NAME, load_record
from medseg.inference.sidecar import Sidecar, load_sidecar, save_sidecar, sidecar_path

_SUFFIXES = (".nii.gz", ".png")


class MaskFolder:
    """Masks of one model and one choice of settings, each finished once its sidecar stands beside it.

    Args:
        path: The folder, which exists.
        settings: What decides the masks beside the scans.

    Attributes:
        finished: Records of the finished cases by their id.
    """

    def __init__(self, path: Path, settings: MaskSettings) -> None:
        self.path = path
        self.settings = settings
        self.finished = {record.case_id: record for record in self._read_finished()}

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
            remove_leftovers(path)
            yield cls(path, settings)

    def holds(self, case_id: str, input_sha256: str) -> bool:
        """Whether a case is finished: its mask is what was written, and was drawn from an input of this checksum."""
        record = self.finished.get(case_id)
        if record is None or record.source is None or record.source.sha256 != input_sha256:
            return False
        return file_sha256(self.path / record.mask) == record.mask_sha256

    def discard(self, case_id: str) -> None:
        """Remove what is there of a case that is to be drawn again."""
        self.finished.pop(case_id, None)
        masks = (self.path / f"{case_id}{suffix}" for suffix in _SUFFIXES)
        for path in (sidecar_path(self.path, case_id), *masks):  # without its sidecar no mask counts as finished
            if os.path.lexists(path):  # which is false of a name that is too long
                path.unlink()

    def finish(self, sidecar: Sidecar) -> None:
        """Record a case whose mask is written."""
        save_sidecar(sidecar, self.path)
        self.finished[sidecar.case_id] = sidecar.case

    def records(self, asked: Sequence[str]) -> tuple[CaseRecord, ...]:
        """Records of the finished cases: those asked for in their order, then the others by their id."""
        others = sorted(set(self.finished) - set(asked))
        return tuple(self.finished[case_id] for case_id in (*asked, *others) if case_id in self.finished)

    def _read_finished(self) -> Iterator[CaseRecord]:
        for path in sorted(self.path.glob("*.json")):
            sidecar = load_sidecar(path) if path.name != RECORD_NAME else None
            if sidecar is None or sidecar.settings_digest != self.settings.digest:
                continue
            if (self.path / sidecar.mask).is_file():
                yield sidecar.case


def check_mask_folder(folder: Path, settings: MaskSettings | None = None) -> None:
    """Refuse an output folder that is neither new nor empty nor of an earlier prediction that can be continued.

    Args:
        folder: Output folder.
        settings: What decides the masks beside the scans; not compared if not given.

    Raises:
        ConfigError: If it holds something else, or masks of another model or other settings.
        DeliveryError: If the record of its masks is damaged.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or not ((folder / RECORD_NAME).is_file() or all(map(is_leftover, folder.iterdir()))):
        raise ConfigError(
            f"output folder {folder} must be new, empty or begun by medseg predict", remedy="choose another"
        )
    record = load_record(folder)
    if record is None:
        return
    if record.settings is None:
        raise ConfigError(
            f"output folder {folder} must be begun by a version of medseg that can continue it, got an earlier one",
            remedy="choose another",
        )
    if settings is not None and (difference := record.settings.difference(settings)):
        raise ConfigError(
            f"output folder {folder} must be continued as it was begun, got {difference}",
            remedy="choose another folder, or give model and choices as before",
        )


def file_sha256(path: Path) -> str | None:
    """SHA-256 of a file; None if it cannot be read."""
    with suppress(OSError), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
    return None
