"""Frozen records that flow from room to room."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from medseg.errors import MemoryShortageError, PipelineError
from medseg.geometry import Geometry
from medseg.origin import Origin
from medseg.quantity import Quantity
from medseg.text import Text

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Labelmap = npt.NDArray[np.integer[Any]]
Split = Literal["training", "test"]
Sex = Literal["F", "M", "O"]
Age = Annotated[float, Field(ge=0, le=130, strict=True, allow_inf_nan=False)]  # in years


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """Voxels and where they lie.

    Args:
        array: Shape `(C, I, J, K)`; a 2D image has K = 1.
        geometry: The grid of the last three axes.
        origin: File or series that it was read from, which decides the form of its masks; None for a made-up scan.
    """

    array: Array
    geometry: Geometry
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SliceScores:
    """Output of a slice classifier for one case, slice by slice along one axis of the scan's own grid.

    Attributes:
        case_id: Id of the case.
        patient_id: Patient that the case belongs to; intervals resample patients.
        axis: Axis of the scan's array that the slices follow.
        positions_mm: Centre of each slice along the patient axis that it follows most (R, A or S), shape `(N,)`.
        probabilities: Probability of each class on each slice, shape `(N, classes)`.
        study: Probability of each class anywhere in the case, shape `(classes,)`.
        truth: 1 where the class is on the slice, 0 where it is not, -1 where that is unknown, shape `(N, classes)`;
            None without a reference.
        study_truth: Truth of the whole case in the same values, shape `(classes,)`.
    """

    case_id: str
    patient_id: str
    axis: int
    positions_mm: Array
    probabilities: Array
    study: Array
    truth: Array | None = None
    study_truth: Array | None = None


class LabelReview(BaseModel):
    """Where a label comes from that a model drew and people decided on.

    Attributes:
        verdict: Whether the mask was accepted as it was drawn, or after corrections.
        readers: Names of those who decided.
        decided: Time of the last decision in UTC, as ISO 8601 writes it.
        models: Models that drew the mask: data set, and the beginning of the weights' checksum.
        mask_sha256: SHA-256 of the mask's file that was read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Literal["accepted", "corrected"]
    readers: tuple[Text, ...]
    decided: str
    models: tuple[Text, ...]
    mask_sha256: str


class Case(BaseModel):
    """One study of one patient: the channels of one grid, and the reference label where there is one.

    Attributes:
        case_id: Unique name; masks are named after it.
        patient_id: Patient that the case belongs to; cases of one patient stay in one fold.
        images: One path per channel file, relative to the data root.
        label: Path of the reference, relative to the data root.
        fold: Validation fold of a training case, from 0.
        split: Whether the case is for training (folds) or held out for testing.
        site: Hospital or centre that made the scan.
        scanner: Scanner that made it.
        sex: Sex of the patient as in DICOM (0010,0040): F, M, or O for another.
        age_years: Age of the patient at the study, in years.
        study_uid: DICOM (0020,000D), or its pseudonym.
        series_uid: DICOM (0020,000E), or its pseudonym.
        sha256: Checksum of each file by its relative path; checked on reading.
        slice_labels: Names of the labels present on each slice along k.
        modality: DICOM (0008,0060) of the images, joined by `+` where the channels differ.
        label_ml: Volume of each label in millilitres, by name; `split` balances it.
        study_date: Date `YYYYMMDD`, shifted by a number of days that is the patient's own.
        label_review: Decision by which a model's mask became the label; None for labels from elsewhere.
        annotated_labels: Labels or regions that were annotated in this case, where others may be there undrawn; None
            where all were.
        raters: Path of each rater's label by the rater's name, where several have drawn the case. They are fused into
            the reference where the case has no `label`.
        quantities: Path of the values of each quantity by its name, relative to the data root; NaN is not known there.
        study_labels: Those of the manifest's study classes that the case shows; None where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str
    patient_id: Text
    images: tuple[str, ...]
    label: str | None = None
    fold: int | None = None
    split: Split = "training"
    site: Text | None = None
    scanner: Text | None = None
    sex: Sex | None = None
    age_years: Age | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sha256: dict[str, str] | None = None
    slice_labels: tuple[tuple[Text, ...], ...] | None = None
    modality: Text | None = None
    label_ml: dict[Text, float] | None = None
    study_date: str | None = None
    label_review: LabelReview | None = None
    annotated_labels: tuple[Text, ...] | None = None
    raters: dict[Text, str] | None = None
    quantities: dict[Text, str] | None = None
    study_labels: tuple[Text, ...] | None = None

    @property
    def is_fused(self) -> bool:
        """Whether the reference is what the labels of several raters are fused into."""
        return self.label is None and bool(self.raters)

    @property
    def has_reference(self) -> bool:
        """Whether there is a label to learn from and to measure against."""
        return self.label is not None or bool(self.raters)

    @property
    def label_files(self) -> tuple[str, ...]:
        """Paths of the label, if there is one, and of the raters' labels."""
        return (*([self.label] if self.label is not None else []), *(self.raters or {}).values())


class Manifest(BaseModel):
    """A dataset: the meaning of its channels and labels, and its cases.

    Attributes:
        name: Name of the dataset.
        version: Version of the dataset.
        description: Contents of the dataset.
        licence: Terms of use.
        source: Origin of the data, as a citation or an address.
        channels: Names of the image channels, in order.
        labels: Value of each label by its name, with `background` 0.
        regions: Values that make up each structure, where structures overlap; None where each voxel has one label.
        regions_order: Value that each region writes where no value stands for the combination of regions.
        ignore: Value of voxels that nobody has annotated; None where every voxel is.
        fusion: Way in which the labels of several raters become the reference of a case; `majority` if not given.
        quantities: Unit and range of each quantity that a regression learns, by name; None for other tasks.
        study_classes: Classes of whole cases, such as diagnoses, that `study_labels` of the cases name; None without.
        task: Task that the dataset is for.
        instances: Whether every positive label value is one object of the only foreground label.
        allow_empty_labels: Whether a training case may have no labelled voxel.
        has_patients: Whether patient ids came from the data; otherwise every case counts as a patient.
        cases: All cases, training first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Text
    version: Text = "1"
    description: Text = ""
    licence: Text = ""
    source: Text = ""
    channels: tuple[Text, ...]
    labels: dict[Text, int]
    regions: dict[Text, tuple[int, ...]] | None = None
    regions_order: tuple[int, ...] | None = None
    ignore: int | None = None
    fusion: Literal["majority", "staple"] | None = None
    quantities: dict[Text, Quantity] | None = None
    study_classes: tuple[Text, ...] | None = None
    task: Literal["segmentation", "classification", "regression"] = "segmentation"
    instances: bool = False
    allow_empty_labels: bool = False
    has_patients: bool = True
    cases: tuple[Case, ...]

    @property
    def foreground(self) -> dict[str, int]:
        """The labels without the background, by value."""
        return {name: value for name, value in sorted(self.labels.items(), key=lambda item: item[1]) if value != 0}

    def select(self, split: Split) -> tuple[Case, ...]:
        """The cases of one split."""
        return tuple(case for case in self.cases if case.split == split)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One delivered mask.

    Attributes:
        case_id: Id of the case.
        mask_path: File of the mask.
        seconds: Time from reading the scan to the written mask.
        peak_memory_bytes: Largest memory of the process so far.
        volume_ml: Volume of each label by name.
        in_training: Whether the network was trained on this case.
        review: Review by a slice classifier, as `medseg.inference` records it; None without one, and for a kept mask.
        is_kept: Whether an earlier prediction drew the mask.
        is_edited: Whether a kept mask has been changed since it was drawn; its volumes are those of the drawn one.
    """

    case_id: str
    mask_path: Path
    seconds: float
    peak_memory_bytes: int
    volume_ml: dict[str, float] = field(default_factory=dict)
    in_training: bool = False
    review: Any = None
    is_kept: bool = False
    is_edited: bool = False


@dataclass(frozen=True, slots=True)
class CaseMetrics:
    """Metrics of one label in one case.

    Attributes:
        case_id: Id of the case.
        label: Name of the label.
        values: Value by metric name; NaN where the contract leaves the metric out.
        label_voxels: Voxels in the reference.
        mask_voxels: Voxels in the mask.
        ignored_share: Share of the scan's voxels that nobody has annotated, which are left out of all values.
    """

    case_id: str
    label: str
    values: dict[str, float]
    label_voxels: int
    mask_voxels: int
    ignored_share: float = 0.0


def reason_of(error: Exception, *, case_id: str | None = None) -> str:
    """Reason of a failure in one line, from an error.

    Args:
        error: The error; the file that the text of an `OSError` names is left out.
        case_id: Case that the reader knows already; a pipeline error about it is given without the case.
    """
    message: str | None = str(error)
    if isinstance(error, OSError):
        message = error.strerror
    elif isinstance(error, PipelineError) and error.case_id == case_id:
        message = error.statement
    text = message.splitlines()[0] if message else type(error).__name__
    if _ran_out_of_memory(error, text):
        return f"memory must hold it, got: {text}; use a smaller scan or a machine with more memory"
    if isinstance(error, OSError):
        return f"its files must be readable and writable, got: {text}; fix that and run again"
    return text


def lacks_memory(error: Exception) -> bool:
    """Whether an error may not come again once other work has freed its memory."""
    return isinstance(error, MemoryShortageError) or _ran_out_of_memory(error, str(error))


def _ran_out_of_memory(error: Exception, text: str) -> bool:
    return isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be processed, and the reason.

    Attributes:
        case_id: Id of the case.
        stage: Name of the work that failed, as a verb.
        reason: One sentence that begins with the case.
        kind: Class of the error; "" if that is not known.
    """

    case_id: str
    stage: str
    reason: str
    kind: str = field(default="", compare=False, repr=False)

    @property
    def row(self) -> dict[str, str]:
        """Case, work and reason, as files list them."""
        return {"case_id": self.case_id, "stage": self.stage, "reason": self.reason}

    @classmethod
    def of(cls, case_id: str, stage: str, error: Exception) -> Self:
        """Failure of a case because of an error; the reason names the case once."""
        return cls(case_id, stage, f"case {case_id}: {reason_of(error, case_id=case_id)}", type(error).__name__)
