"""Every error that the pipeline raises on purpose.

    PipelineError
    ├── ManifestError     a dataset.json, recipe or fold assignment is wrong
    ├── ScanError         a scan or label file cannot be used
    ├── GeometryError     grids do not agree, or an affine is not a rigid voxel grid
    ├── ConfigError       a plan, an option or a YAML key is wrong
    ├── CheckpointError   a model or checkpoint is missing, damaged or does not fit
    ├── TrainingError     training cannot go on (a loss that is not finite, no case left)
    ├── TrackingError     the MLflow store cannot be reached, or refuses a run
    └── DeliveryError     a result could not be written

Messages read *case: thing must be rule, got value; remedy.* An error holds these parts, so that nobody takes its
message apart again; one that is raised with a single sentence holds it as its fact.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of all errors that a user can act on.

    Args:
        fact: What must be, and what was got instead.
        remedy: What the user can do; "" if the fact says it.
        case_id: Case that it is about; None if it is about no single one.
    """

    def __init__(self, fact: str, *, remedy: str = "", case_id: str | None = None) -> None:
        self.fact = fact
        self.remedy = remedy
        self.case_id = case_id
        subject = "" if case_id is None else f"case {case_id}: "
        super().__init__(f"{subject}{fact}; {remedy}" if remedy else f"{subject}{fact}")


class ManifestError(PipelineError):
    """The manifest, a recipe or the folds break a rule."""


class ScanError(PipelineError):
    """A scan or label file is missing, damaged or outside what the pipeline accepts."""


class GeometryError(PipelineError):
    """Two grids that must agree do not, or an affine does not describe a voxel grid."""


class ConfigError(PipelineError):
    """A setting is unknown or out of its range."""


class CheckpointError(PipelineError):
    """A model or checkpoint is missing, damaged or does not fit what it is used for."""


class TrainingError(PipelineError):
    """Training cannot go on."""


class TrackingError(PipelineError):
    """The MLflow store cannot be reached, or does not take a run."""


class DeliveryError(PipelineError):
    """A result could not be written; nothing half-written was left."""
