"""What a slice classifier's training can be asked for beside what every training can."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.runs.settings import TrainingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationSettings(TrainingSettings):
    """Choices of a classifier's training.

    Attributes:
        plane: Plane of the slices: axial, coronal or sagittal.
        context: Neighbouring slices on either side that are seen too.
        labels: `label` for label volumes, `slice_labels` for those of the manifest, or the path of a CSV file.
        min_area_mm2: Area of a label that a slice must exceed to show it.
        kind: `multilabel` or `multiclass`; that of a CSV file, else multilabel, if not given.
        classes: Names of the classes with commas; all labels if not given.
        pooling: How the slices of a study are pooled; `none`, or `max` for a CSV file without slices, if not given.
        architecture: Name of the network.
        initial: Weights to begin with: an ImageNet file, or a run of a segmentation training whose encoder is taken.
    """

    plane: str = "axial"
    context: int = 1
    labels: str = "label"
    min_area_mm2: float = 0.0
    kind: str | None = None
    classes: str | None = None
    pooling: str | None = None
    architecture: str = "resnet18"
    initial: Path | None = None
