"""The metrics that fit a target."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from medseg.errors import ConfigError
from medseg.evaluation.segmentation.metric import Metric
from medseg.evaluation.segmentation.overlap import check_same_grid, overlap_metrics, region_overlap
from medseg.geometry import Triple
from medseg.records import Array, CaseMetrics, Mask
from medseg.targets import ExclusiveLabels, Regions, VoxelTarget

_NONE: Mapping[str, Metric] = {}


def measure_case(
    label: Array,
    mask: Array,
    *,
    target: VoxelTarget,
    case_id: str,
    spacing_mm: Triple = (1.0, 1.0, 1.0),
    metrics: Mapping[str, Metric] = _NONE,
    unannotated: Collection[str] = (),
) -> list[CaseMetrics]:
    """Metrics of every structure of a case.

    Voxels that nobody has annotated are taken for background in the reference and in the mask, so that they count in no
    overlap; a distance of the user's own may end at their border.

    Args:
        label: Reference, a native array.
        mask: Prediction, a native array on the same grid.
        target: Meaning of both arrays.
        case_id: Id of the case.
        spacing_mm: Voxel size of the grid along `(i, j, k)`.
        metrics: Metrics of the user's own by name, beside the overlaps.
        unannotated: Structures that nobody has annotated in this case, which are left out.

    Raises:
        GeometryError: If the shapes differ.
        ConfigError: If there are no metrics for the target, or one of the user's has the name of another.
    """
    if not isinstance(target, ExclusiveLabels | Regions):
        fact = f"target: metrics must exist for it, got {target.kind}"
        raise ConfigError(fact, remedy="evaluate labels or regions")
    check_same_grid(label, mask, case_id=case_id)
    ignored = target.ignored(label)
    if ignored is not None:
        label, mask = (np.where(ignored, 0, array) for array in (label, mask))
    if isinstance(target, ExclusiveLabels):
        rows = overlap_metrics(label, mask, labels=target.foreground, case_id=case_id)
    else:
        rows = region_overlap(label, mask, regions=target.regions, case_id=case_id)
    if ignored is not None:
        share = float(ignored.mean())
        rows = [replace(row, ignored_share=share) for row in rows]
    rows = [row for row in rows if row.label not in unannotated]
    if not metrics:
        return rows
    # One structure at a time: those of a hundred on a CT would hold many gigabytes.
    return [
        with_own_metrics(row, target.shows(label, row.label), target.shows(mask, row.label), spacing_mm, metrics)
        for row in rows
    ]


def check_new_names(known: Iterable[str], metrics: Mapping[str, Metric]) -> None:
    """Refuse a metric of the user's that has the name of another.

    Raises:
        ConfigError: If there is one.
    """
    taken = sorted(set(known) & metrics.keys())
    if taken:
        raise ConfigError(f"metrics: names must be new, got {taken[0]}", remedy="choose another name")


def with_own_metrics(
    row: CaseMetrics, label: Mask, mask: Mask, spacing_mm: Triple, metrics: Mapping[str, Metric]
) -> CaseMetrics:
    """A structure's metrics with the user's own after them.

    Args:
        row: Metrics of the structure.
        label: Its voxels in the reference, bool, shape `(I, J, K)`.
        mask: Its voxels in the prediction.
        spacing_mm: Voxel size along `(i, j, k)`.
        metrics: Metrics by name.

    Raises:
        ConfigError: If a name is taken.
    """
    check_new_names(row.values, metrics)
    more = {name: float(metric(label, mask, spacing_mm=spacing_mm)) for name, metric in metrics.items()}
    return replace(row, values=row.values | more)
