"""`predictions.json`: the record of a folder of masks."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.model_cost import ModelCost

RECORD_NAME = "predictions.json"


class ModelIdentity(Config):
    """The model that drew the masks.

    Attributes:
        dataset: Name and version of the manifest that it was trained on.
        manifest_digest: SHA-256 of that manifest.
        plan_digest: SHA-256 of its plan.
        trained_on: Ids of the cases that it was trained on.
        run_id: MLflow run of its training; None where it is not known.
        weights: Name of its weights, `last` or `best`; None where it is not known.
        weights_digest: SHA-256 of the file of its weights; None where it is not known.
        medseg_version: Version of medseg that trained it; None where it is not known.
        cost: Size of the network and effort of the training; None where they are not known.
    """

    dataset: str
    manifest_digest: str
    plan_digest: str
    run_id: str | None = None
    weights: str | None = None
    weights_digest: str | None = None
    medseg_version: str | None = None
    cost: ModelCost | None = None
    trained_on: tuple[str, ...]


class GateRecord(Config):
    """The slices of a case that were segmented.

    Attributes:
        sensitivity: Sensitivity that the gate's threshold was chosen for.
        threshold: Least probability that a slice shows anything.
        axis: Axis of the scan's own array.
        start: First slice.
        stop: One past the last slice; equal to `start` if nothing was found.
        slices: Number of slices of the whole scan.
        seconds: Time that the classifier took.
    """

    sensitivity: float
    threshold: float
    axis: int
    start: int
    stop: int
    slices: int
    seconds: float


class QualityRecord(Config):
    """The disagreement of a mask and a slice classifier.

    Attributes:
        disagreement: Mean of |probability - drawn| over slices and labels.
        longest_run: Most neighbouring slices on which one label is contradicted.
        limit: Disagreement that 95 % of the classifier's validation cases stay below with their own reference.
        is_flagged: Whether a person should review the mask.
        reason: Description of the worst slice of a flagged mask, else None.
    """

    disagreement: float
    longest_run: int
    limit: float | None
    is_flagged: bool
    reason: str | None


class CaseRecord(Config):
    """One delivered mask.

    Attributes:
        case_id: Id of the case.
        mask: Name of the mask's file.
        seconds: Time from reading the scan to the written mask.
        peak_memory_bytes: Largest memory of the process so far.
        volume_ml: Volume of each label by name.
        in_training: Whether the model was trained on the case.
        gate: Slices that were segmented; None without a gate.
        quality: Disagreement with a slice classifier; None without one.
    """

    case_id: str
    mask: str
    seconds: float
    peak_memory_bytes: int
    volume_ml: dict[str, float]
    in_training: bool
    gate: GateRecord | None = None
    quality: QualityRecord | None = None


class FailureRecord(Config):
    """One case that failed.

    Attributes:
        case_id: Id of the case.
        stage: Stage in which it failed.
        reason: Text of the error.
    """

    case_id: str
    stage: str
    reason: str


class PredictionRecord(Config):
    """The record of a whole folder.

    Attributes:
        model: Model that drew the masks.
        labels: Value of each label by name.
        cases: Delivered masks.
        failures: Cases without a mask.
    """

    model: ModelIdentity
    labels: dict[str, int]
    cases: tuple[CaseRecord, ...]
    failures: tuple[FailureRecord, ...]


def save_record(record: PredictionRecord, folder: Path) -> None:
    """Write `predictions.json`."""
    write_json(folder / RECORD_NAME, record.model_dump(mode="json"))


def load_record(folder: Path) -> PredictionRecord | None:
    """Read `predictions.json`; None if there is none, as in a folder of masks from elsewhere.

    Raises:
        DeliveryError: If the file is damaged.
    """
    path = folder / RECORD_NAME
    if not path.is_file():
        return None
    try:
        return parse_config(PredictionRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        fact = f"masks: {RECORD_NAME} must be as predict wrote it, got: {error}"
        raise DeliveryError(fact, remedy="predict again") from error
