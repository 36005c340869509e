"""The same metric in parts of a cohort: an average can hide a scanner or a size at which a model fails."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from medseg.evaluation.resampling import grouped_mean_interval
from medseg.evaluation.segmentation.metric_kinds import kind_of
from medseg.records import Case, CaseMetrics

_SIZES = ("smallest third", "middle third", "largest third")
_AGE_BANDS = {"under 18": 18.0, "18 to 39": 40.0, "40 to 64": 65.0, "65 and over": float("inf")}
"""Age in years below which a patient belongs to a band, if to none before it."""

_IN_ORDER = (*_SIZES, *_AGE_BANDS)


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A metric of a structure in a part of the cohort.

    Attributes:
        structure: Name of the label or region.
        metric: Name of the metric.
        by: What divides the cohort: `site`, `scanner`, `modality`, `sex`, `age` (bands of years) or `size`.
        group: Name of the part.
        mean: Mean over its cases.
        low: Lower end of the 95 % interval; NaN with fewer than five patients.
        high: Upper end.
        cases: Count of cases.
        patients: Count of patients.
        is_worst: Whether this is the worst part of its division; no part is where all have the same mean.
    """

    structure: str
    metric: str
    by: str
    group: str
    mean: float
    low: float
    high: float
    cases: int
    patients: int
    is_worst: bool


def subgroups(rows: Sequence[CaseMetrics], cases: Sequence[Case], *, metric: str = "dice") -> list[Subgroup]:
    """Divide cases by site, scanner, modality, sex and age, where there are several, and by the size of each structure.

    A case whose manifest does not give the site, scanner, modality, sex or age is in no part of that division.

    Args:
        rows: Metrics per case and structure.
        cases: Cases of the manifest.
        metric: Metric to show.

    Returns:
        An entry per structure, division and part, in the order of the structures.
    """
    by_id = {case.case_id: case for case in cases}

    def value_of(row: CaseMetrics, field: str) -> str | None:
        return getattr(by_id[row.case_id], field) if row.case_id in by_id else None

    def band_of(row: CaseMetrics) -> str | None:
        return _age_band(by_id[row.case_id].age_years) if row.case_id in by_id else None

    divisions: dict[str, Callable[[CaseMetrics], str | None]] = {
        field: partial(value_of, field=field) for field in ("site", "scanner", "modality", "sex")
    }
    divisions["age"] = band_of
    patients = {case.case_id: case.patient_id for case in cases}
    by_structure: dict[str, list[CaseMetrics]] = defaultdict(list)
    for row in rows:
        known = row.values.get(metric, np.nan) == row.values.get(metric)
        by_structure[row.label] += [row] if known else []
    found = []
    for structure, own in by_structure.items():
        for by, part_of in {**divisions, "size": _size_of(own)}.items():
            parts = defaultdict(list)
            for row in own:
                if (part := part_of(row)) is not None:
                    parts[part].append(row)
            if len(parts) > 1:
                found += _marked([_entry(structure, metric, by, name, parts[name], patients) for name in _order(parts)])
    return found


def _age_band(age_years: float | None) -> str | None:
    """The band of an age; none without one."""
    return None if age_years is None else next(name for name, end in _AGE_BANDS.items() if age_years < end)


def _size_of(rows: Sequence[CaseMetrics]) -> Callable[[CaseMetrics], str | None]:
    """Third of the reference's size that a case belongs to; none without a reference, or with fewer than six cases."""
    sizes = [row.label_voxels for row in rows if row.label_voxels]
    bounds = np.quantile(sizes, [1 / 3, 2 / 3]) if len(sizes) >= 6 else None

    def third(row: CaseMetrics) -> str | None:
        if bounds is None or not row.label_voxels:
            return None
        return _SIZES[int((row.label_voxels > bounds).sum())]

    return third


def _order(parts: Mapping[str, object]) -> list[str]:
    """Sizes and ages from small to large, other names by the alphabet."""
    return sorted(parts, key=lambda name: (_IN_ORDER.index(name) if name in _IN_ORDER else 0, name))


def _entry(
    structure: str, metric: str, by: str, group: str, rows: Sequence[CaseMetrics], patients: Mapping[str, str]
) -> Subgroup:
    values = [row.values[metric] for row in rows]
    owners = [patients.get(row.case_id, row.case_id) for row in rows]
    low, high = grouped_mean_interval(values, owners, is_share=kind_of(metric).is_share)
    mean = float(np.mean(values))
    return Subgroup(structure, metric, by, group, mean, low, high, len(rows), len(set(owners)), is_worst=False)


def _marked(entries: Sequence[Subgroup]) -> list[Subgroup]:
    """The entries of one division, the worst of them marked unless all are equal but for rounding."""
    order = sorted(entries, key=lambda entry: entry.mean * (kind_of(entry.metric).direction or 1))
    if math.isclose(order[0].mean, order[-1].mean, abs_tol=1e-12):
        return list(entries)
    return [replace(entry, is_worst=entry is order[0]) for entry in entries]
