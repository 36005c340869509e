"""The charts of the cohort on the page: voxel sizes, shapes, intensities and label volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medseg.audit import Audit
from medseg.delivery.audit.charts import Chart, dots, histogram, ranges

_AXES = ("left–right", "back–front", "feet–head")
_MOST_LINES = 300
_MOST_DOTS = 5000


@dataclass(frozen=True, slots=True)
class Group:
    """Charts that belong together, under one heading."""

    title: str
    charts: list[Chart]


def distributions(audit: Audit) -> list[Group]:
    """Groups of charts; an empty group is left out."""
    grids = [facts.geometry for facts in audit.cases if facts.geometry is not None and not facts.is_picture]
    upright = [geometry.reoriented("RAS") for geometry in grids]
    pictures = [facts.geometry for facts in audit.cases if facts.geometry is not None and facts.is_picture]
    groups = [
        Group("Voxel size", _histograms(_AXES, "mm", [grid.spacing_mm for grid in upright])),
        Group("Number of voxels", _histograms(_AXES, "voxels", [grid.shape for grid in upright])),
        Group("Size of the pictures", _histograms(("width", "height"), "pixels", [grid.shape for grid in pictures])),
        Group("Intensities", _intensities(audit)),
        Group("Quantities", _quantities(audit)),
        Group("Labels", _volumes(audit)),
    ]
    return [group for group in groups if group.charts]


def _histograms(names: Sequence[str], unit: str, sizes: Sequence[Sequence[float]]) -> list[Chart]:
    """A histogram of each axis."""
    return [histogram(name, unit, [size[axis] for size in sizes]) for axis, name in enumerate(names) if sizes]


def _intensities(audit: Audit) -> list[Chart]:
    """A chart per channel."""
    far = _cases_with(audit, "intensity")
    charts: list[Chart] = []
    for index, name in enumerate(audit.manifest.channels):
        rows = [
            (facts.case_id, (one.p1, one.p25, one.p50, one.p75, one.p99))
            for facts in audit.cases
            for one in facts.channels[index : index + 1]
        ]
        if rows:
            step = -(-len(rows) // _MOST_LINES)
            some = sorted(rows, key=lambda row: row[1][2])[::step]
            charts.append(ranges(f"channel {name}", "intensity as stored", some, far, total=len(rows)))
    return charts


def _quantities(audit: Audit) -> list[Chart]:
    """A chart per quantity."""
    far = _cases_with(audit, "quantity_scale")
    charts: list[Chart] = []
    for name, quantity in (audit.manifest.quantities or {}).items():
        found = [(facts.case_id, facts.quantities[name].values) for facts in audit.cases if name in facts.quantities]
        rows = [(case_id, (one.p1, one.p25, one.p50, one.p75, one.p99)) for case_id, one in found]
        if rows:
            some = sorted(rows, key=lambda row: row[1][2])[:: -(-len(rows) // _MOST_LINES)]
            charts.append(ranges(f"quantity {name}", quantity.unit, some, far, total=len(rows)))
    return charts


def _volumes(audit: Audit) -> list[Chart]:
    """One chart with a row per label."""
    is_picture = any(facts.is_picture for facts in audit.cases)
    rows = []
    for name in audit.manifest.foreground:
        found = [
            (facts.case_id, facts.labels[name].ml or float(facts.labels[name].voxels))
            for facts in audit.cases
            if name in facts.labels
        ]
        if found:
            step = -(-len(found) * len(audit.manifest.foreground) // _MOST_DOTS)
            rows.append((name, sorted(found, key=lambda one: one[1])[::step], len(found)))
    what, unit = ("labelled area", "pixels") if is_picture else ("volume of each label", "ml")
    return [dots(what, unit, rows, _cases_with(audit, "label_volume"))] if rows else []


def _cases_with(audit: Audit, check: str) -> set[str]:
    """Ids of all cases in the findings of a check."""
    return {name for found in audit.findings if found.check == check for name in (found.case_id, *found.others) if name}
