"""Whether a folder is new, or holds masks that a prediction with some settings can continue."""

from __future__ import annotations

from pathlib import Path

from medseg.atomic import is_leftover
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.mask_page.page import PAGE_NAME
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.record import RECORD_NAME, PredictionRecord, load_record
from medseg.inference.sidecar import load_sidecars

_AS_BEFORE = "choose another folder, or give model and choices as before"


def check_mask_folder(folder: Path, settings: MaskSettings | None = None) -> None:
    """Refuse an output folder that is neither new nor empty nor of an earlier prediction that can be continued.

    A record that was lost or is damaged, as after a power cut, is made again where the sidecars of the masks prove what
    drew them.

    Args:
        folder: Output folder.
        settings: What decides the masks beside the scans; not compared if not given.

    Raises:
        ConfigError: If it holds something else, or masks of another model or other settings.
        DeliveryError: If the record of its masks is damaged, and there is no sidecar.
    """
    if not folder.exists() or _is_empty(folder):
        return
    try:
        record = load_record(folder)
    except DeliveryError:
        if not _has_sidecars(folder, settings):
            raise
        return
    if record is not None:
        _check_record(record, folder, settings)
    elif not _has_sidecars(folder, settings):
        raise ConfigError(
            f"output folder {folder} must be new, empty or begun by medseg predict", remedy="choose another"
        )


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing but what a kill or a power cut left of a prediction that had no mask yet."""
    if not folder.is_dir():
        return False
    others = {path.name for path in folder.iterdir() if not is_leftover(path)}
    is_of_no_mask = RECORD_NAME in others and others <= {RECORD_NAME, PAGE_NAME}
    return not others or (is_of_no_mask and (folder / RECORD_NAME).stat().st_size == 0)


def _has_sidecars(folder: Path, settings: MaskSettings | None) -> bool:
    """Whether a folder without a record holds masks with sidecars.

    Raises:
        ConfigError: If they are of other settings.
    """
    digests = {sidecar.settings_digest for sidecar in load_sidecars(folder)}
    if settings is not None and digests - {settings.digest}:
        raise ConfigError(
            f"output folder {folder} must be continued as it was begun, got masks of another model or choice, and no "
            f"{RECORD_NAME} that names it",
            remedy=_AS_BEFORE,
        )
    return bool(digests)


def _check_record(record: PredictionRecord, folder: Path, settings: MaskSettings | None) -> None:
    if record.settings is None:
        raise ConfigError(
            f"output folder {folder} must be begun by a version of medseg that can continue it, got an earlier one",
            remedy="choose another",
        )
    if settings is not None and (difference := record.settings.difference(settings)):
        raise ConfigError(
            f"output folder {folder} must be continued as it was begun, got {difference}", remedy=_AS_BEFORE
        )
