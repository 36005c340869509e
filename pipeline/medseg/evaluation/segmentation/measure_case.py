"""The metrics that fit a target."""

from __future__ import annotations

from medseg.errors import ConfigError
from medseg.evaluation.segmentation.overlap import overlap_metrics
from medseg.records import Array, CaseMetrics
from medseg.targets import ExclusiveLabels, VoxelTarget


def measure_case(label: Array, mask: Array, *, target: VoxelTarget, case_id: str) -> list[CaseMetrics]:
    """Metrics of every structure of a case.

    Args:
        label: Reference, a native array.
        mask: Prediction, a native array on the same grid.
        target: Meaning of both arrays.
        case_id: Id of the case.

    Raises:
        GeometryError: If the shapes differ.
        ConfigError: If there are no metrics for the target.
    """
    if isinstance(target, ExclusiveLabels) and target.ignore is None:
        return overlap_metrics(label, mask, labels=target.foreground, case_id=case_id)
    what = "ignored voxels" if isinstance(target, ExclusiveLabels) else target.kind
    fact = f"target: metrics must exist for it, got {what}"
    raise ConfigError(fact, remedy="evaluate exclusive labels of every voxel")
