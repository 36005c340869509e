"""`predictions.json`: what a folder of masks says about itself."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError, DeliveryError

RECORD_NAME = "predictions.json"


class ModelIdentity(Config):
    """Which model drew the masks, and what it was trained on."""

    dataset: str
    manifest_digest: str
    plan_digest: str
    trained_on: tuple[str, ...]


class GateRecord(Config):
    """Which slices of a case were segmented.

    Attributes:
        sensitivity: That the gate's threshold was chosen for.
        threshold: On the probability that a slice shows anything.
        axis: Of the scan's own array.
        start: First slice.
        stop: One past the last; equal to `start` where nothing was found.
        slices: Of the whole scan.
        seconds: That the classifier took.
    """

    sensitivity: float
    threshold: float
    axis: int
    start: int
    stop: int
    slices: int
    seconds: float


class QualityRecord(Config):
    """How far a mask and a slice classifier disagree.

    Attributes:
        disagreement: Mean over slices and labels of |probability - drawn|.
        longest_run: Most neighbouring slices on which one label is contradicted.
        limit: Disagreement that 95 % of the classifier's validation cases stay below with their own reference.
        is_flagged: Whether someone should look at the mask.
        reason: The worst slice, where it is flagged.
    """

    disagreement: float
    longest_run: int
    limit: float | None
    is_flagged: bool
    reason: str | None


class CaseRecord(Config):
    """One delivered mask."""

    case_id: str
    mask: str
    seconds: float
    peak_memory_bytes: int
    volume_ml: dict[str, float]
    in_training: bool
    gate: GateRecord | None = None
    quality: QualityRecord | None = None


class FailureRecord(Config):
    """One case that failed."""

    case_id: str
    stage: str
    reason: str


class PredictionRecord(Config):
    """All of a folder."""

    model: ModelIdentity
    labels: dict[str, int]
    cases: tuple[CaseRecord, ...]
    failures: tuple[FailureRecord, ...]


def save_record(record: PredictionRecord, folder: Path) -> None:
    """Write `predictions.json`."""
    write_json(folder / RECORD_NAME, record.model_dump(mode="json"))


def load_record(folder: Path) -> PredictionRecord | None:
    """Read `predictions.json`; None where there is none, as in a folder of masks from elsewhere.

    Raises:
        DeliveryError: If it is damaged.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        return parse_config(PredictionRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise DeliveryError(f"masks: {RECORD_NAME} must be as predict wrote it, got: {error}; predict again") from error
