"""The frozen things that flow from room to room."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from medseg.geometry import Geometry
from medseg.origin import Origin

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Labelmap = npt.NDArray[np.integer[Any]]
Split = Literal["training", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """Voxels and where they lie.

    Args:
        array: Shape `(C, I, J, K)`; a 2D image has K = 1.
        geometry: The grid of the last three axes.
        origin: The file or series it was read from, which says how masks of it are written; None for a made-up scan.
    """

    array: Array
    geometry: Geometry
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SliceScores:
    """What a slice classifier says of one case, slice by slice along one axis of the scan's own grid.

    Attributes:
        case_id: Which case.
        patient_id: Whose; intervals resample patients.
        axis: Axis of the scan's array that the slices follow.
        positions_mm: Centre of each slice along the patient axis that it follows most (R, A or S), shape `(N,)`.
        probabilities: Of each class on each slice, shape `(N, classes)`.
        study: Of each class anywhere in the case, shape `(classes,)`.
        truth: 1 where the class is on the slice, 0 where not, -1 where nobody knows, shape `(N, classes)`; None without
            a reference.
        study_truth: The same for the whole case, shape `(classes,)`.
    """

    case_id: str
    patient_id: str
    axis: int
    positions_mm: Array
    probabilities: Array
    study: Array
    truth: Array | None = None
    study_truth: Array | None = None


class Case(BaseModel):
    """One study of one patient: the channels of one grid, and the reference label where there is one.

    Attributes:
        case_id: Unique name; masks are named after it.
        patient_id: Cases of one patient stay in one fold.
        images: One path per channel file, relative to the data root.
        label: Path of the reference, relative to the data root.
        fold: Validation fold of a training case, from 0.
        split: Whether the case is for training (folds) or held out for testing.
        site: Where the scan was made.
        scanner: What it was made with.
        study_uid: DICOM (0020,000D), or its pseudonym.
        series_uid: DICOM (0020,000E), or its pseudonym.
        sha256: Checksum of each file by its relative path; checked on reading.
        slice_labels: Names of the labels present on each slice along k.
        modality: DICOM (0008,0060) of the images, joined by `+` where the channels differ.
        label_ml: Volume of each label in millilitres, by name; what `split` balances.
        study_date: `YYYYMMDD`, moved by a number of days that is the patient's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str
    patient_id: str
    images: tuple[str, ...]
    label: str | None = None
    fold: int | None = None
    split: Split = "training"
    site: str | None = None
    scanner: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sha256: dict[str, str] | None = None
    slice_labels: tuple[tuple[str, ...], ...] | None = None
    modality: str | None = None
    label_ml: dict[str, float] | None = None
    study_date: str | None = None


class Manifest(BaseModel):
    """A dataset: what its channels and labels mean, and its cases.

    Attributes:
        name: Name of the dataset.
        version: Version of the dataset.
        description: What is in it.
        licence: Under which terms it may be used.
        source: Where it comes from.
        channels: Names of the image channels, in order.
        labels: Value of each label by its name, with `background` 0.
        task: What is learned from it.
        instances: Whether every positive label value is one object of the only foreground label.
        allow_empty_labels: Whether a training case may have no labelled voxel.
        has_patients: Whether patient ids came from the data; otherwise every case counts as a patient.
        cases: All cases, training first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str = "1"
    description: str = ""
    licence: str = ""
    source: str = ""
    channels: tuple[str, ...]
    labels: dict[str, int]
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
        case_id: Which case.
        mask_path: Where the mask lies.
        seconds: Time from reading the scan to the written mask.
        peak_memory_bytes: Largest memory of the process so far.
        volume_ml: Volume of each label by name.
        in_training: Whether the network was trained on this case.
        review: What a slice classifier had to say, as `medseg.inference` records it; None without one.
    """

    case_id: str
    mask_path: Path
    seconds: float
    peak_memory_bytes: int
    volume_ml: dict[str, float] = field(default_factory=dict)
    in_training: bool = False
    review: Any = None


@dataclass(frozen=True, slots=True)
class CaseMetrics:
    """Metrics of one label in one case.

    Attributes:
        case_id: Which case.
        label: Name of the label.
        values: Value by metric name; NaN where the contract leaves the metric out.
        label_voxels: Voxels in the reference.
        mask_voxels: Voxels in the mask.
    """

    case_id: str
    label: str
    values: dict[str, float]
    label_voxels: int
    mask_voxels: int


def reason_of(error: Exception) -> str:
    """First line of an error; of an `OSError` without the file that its own text names."""
    said = error.strerror if isinstance(error, OSError) else str(error)
    text = said.splitlines()[0] if said else type(error).__name__
    if isinstance(error, MemoryError) or "alloc" in text or "out of memory" in text:
        return f"memory must hold it, got: {text}; use a smaller scan or a machine with more memory"
    if isinstance(error, OSError):
        return f"its files must be readable and writable, got: {text}; fix that and run again"
    return text


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that could not be processed, and why."""

    case_id: str
    stage: str
    reason: str

    @classmethod
    def of(cls, case_id: str, stage: str, error: Exception) -> Self:
        """What an error says, with the case's name in front if it does not say it itself."""
        text = reason_of(error)
        return cls(case_id, stage, text if text.startswith(f"case {case_id}") else f"case {case_id}: {text}")
