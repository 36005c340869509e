"""Every error that the pipeline raises on purpose.

    PipelineError
    ├── ManifestError     a dataset.json, recipe or fold assignment is wrong
    ├── ScanError         a scan or label file cannot be used
    │   └── MemoryShortageError   it needs more memory than is free now
    ├── GeometryError     grids do not agree, or an affine is not a rigid voxel grid
    ├── ConfigError       a plan, an option or a YAML key is wrong
    ├── CheckpointError   a model or checkpoint is missing, damaged or does not fit
    ├── TrainingError     training cannot continue (a loss that is not finite, no case left)
    │   └── LostProcessError      another of its processes has ended
    ├── TrackingError     the MLflow store cannot be reached, or refuses a run
    ├── EvaluationError   results cannot be read, or cannot be compared
    ├── ClusterError      a cluster cannot be used, or work on it ended its workers
    └── DeliveryError     a result could not be written

Messages read *case: thing must be rule, got value; remedy.* An error holds these parts, so that its message never has
to be taken apart; an error without a remedy or a case holds a fact alone.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of all errors that a user can act on.

    Args:
        fact: Rule that must hold, and the value found instead.
        remedy: Action that helps the user; "" if the fact implies it.
        case_id: Id of the case; None if the error is about no single case.
    """

    def __init__(self, fact: str, *, remedy: str = "", case_id: str | None = None) -> None:
        self.fact = fact
        self.remedy = remedy
        self.case_id = case_id
        super().__init__(self.statement if case_id is None else f"case {case_id}: {self.statement}")

    @property
    def statement(self) -> str:
        """Fact and remedy in one sentence, without the case."""
        return f"{self.fact}; {self.remedy}" if self.remedy else self.fact


class ManifestError(PipelineError):
    """The manifest, a recipe or the folds break a rule."""


class ScanError(PipelineError):
    """A scan or label file is missing, damaged or outside what the pipeline accepts."""


class MemoryShortageError(ScanError):
    """A scan needs more memory than is free at this moment; it may fit once other work has ended."""


class GeometryError(PipelineError):
    """Two grids that must agree do not, or an affine does not describe a voxel grid."""


class ConfigError(PipelineError):
    """A setting is unknown or out of its range."""


class CheckpointError(PipelineError):
    """A model or checkpoint is missing, damaged or does not fit what it is used for."""


class TrainingError(PipelineError):
    """Training cannot continue."""


class LostProcessError(TrainingError):
    """Another process of a distributed training has ended, for a reason of its own."""


class TrackingError(PipelineError):
    """The MLflow store cannot be reached, or does not take a run."""


class EvaluationError(PipelineError):
    """Results of an evaluation are missing or damaged, or were measured so that they cannot be compared."""


class ClusterError(PipelineError):
    """A cluster cannot be reached or used, or its workers died of some work."""


class DeliveryError(PipelineError):
    """A result could not be written; nothing half-written was left."""
