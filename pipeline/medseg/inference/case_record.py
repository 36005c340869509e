"""What is recorded of each case of a prediction."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config
from medseg.inference.flag_record import FlagRecord
from medseg.inference.head_record import HeadRecord
from medseg.inference.postprocessed_record import PostprocessedRecord
from medseg.inference.source_record import SourceRecord


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
        volume_ml: Volume of each label by name.
        flags: Doubts about the mask.
        confidence: Confidence in each structure by name; None where it was not measured.
        disagreement: Disagreement of an ensemble's members about each structure by name; None for a single model.
        quality: Disagreement with a slice classifier; None without one.
        gate: Slices that were segmented; None without a gate.
        in_training: Whether a model was trained on the case.
        seconds: Time of all work on the case, from reading the scan to the written mask.
        peak_memory_bytes: Largest memory of the process so far.
        source: Files or series that the case was read from, with their checksum; None in records of earlier versions.
        mask_sha256: SHA-256 of the mask's file as it was drawn; None in records of earlier versions.
        is_edited: Whether the file had been changed since, when the last prediction into the folder kept it; all other
            fields are of the mask as it was drawn.
        postprocessed: What was removed from the mask and filled in it after it was decided; None for a model without
            postprocessing.
        head: What the model's head found beside the mask; None for a model without one.
        drawn_by: Places, among the models of the record, of those that drew the mask; None for all.
    """

    case_id: str
    mask: str
    volume_ml: dict[str, float]
    flags: tuple[FlagRecord, ...] = ()
    confidence: dict[str, float | None] | None = None
    disagreement: dict[str, float | None] | None = None
    quality: QualityRecord | None = None
    gate: GateRecord | None = None
    in_training: bool
    seconds: float
    peak_memory_bytes: int
    source: SourceRecord | None = None
    mask_sha256: str | None = None
    is_edited: bool = False
    postprocessed: tuple[PostprocessedRecord, ...] | None = Field(None, exclude_if=lambda value: value is None)
    head: HeadRecord | None = Field(None, exclude_if=lambda value: value is None)
    drawn_by: tuple[int, ...] | None = Field(None, exclude_if=lambda value: value is None)


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


class PassedOverRecord(Config):
    """A file, link or series among the inputs that is no case.

    Attributes:
        path: Path below what was given.
        reason: Reason in words.
    """

    path: str
    reason: str
