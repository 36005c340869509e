"""A hundred structures: own metrics hold one of them at a time, and summaries are those of each structure alone."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from medseg.evaluation.segmentation import measure_case, overlap_metrics, subgroups, summarise
from medseg.records import Case, CaseMetrics
from medseg.targets import ExclusiveLabels, Regions

LABELS = {"background": 0} | {f"s{value:03d}": value for value in range(1, 118)}
RNG = np.random.default_rng(0)
LABEL = RNG.integers(0, 118, (48, 48, 48)).astype(np.uint8)
MASK = np.roll(LABEL, 1, axis=0)


def voxels(label: Any, mask: Any, *, spacing_mm: object) -> float:
    return float(label.sum() + mask.sum())


def test_own_metrics_hold_one_structure_at_a_time() -> None:
    tracemalloc.start()
    rows = measure_case(LABEL, MASK, target=ExclusiveLabels(labels=LABELS), case_id="a", metrics={"voxels": voxels})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.values["voxels"] for row in rows] == [row.label_voxels + row.mask_voxels for row in rows]
    assert peak < 20 * LABEL.nbytes  # all at once they would take 2 * 117 times the label


def test_regions_of_many_values_overlap_as_their_masks_do() -> None:
    regions = {f"from {first}": tuple(range(first, 118)) for first in range(1, 113, 7)}
    assert len(regions) == 16
    target = Regions(labels=LABELS, regions=regions, order=tuple(held[0] for held in regions.values()))
    for row in measure_case(LABEL, MASK, target=target, case_id="a"):
        truth, drawn = (np.isin(array, regions[row.label]) for array in (LABEL, MASK))
        assert (row.label_voxels, row.mask_voxels) == (truth.sum(), drawn.sum())
        assert row.values["dice"] == 2 * (truth & drawn).sum() / (truth.sum() + drawn.sum())


def test_seventeen_regions_are_refused() -> None:
    regions = {f"r{value}": (value,) for value in range(1, 18)}
    with pytest.raises(ValueError, match="at most 16 items"):
        Regions(labels=LABELS, regions=regions, order=tuple(range(1, 18)))


@pytest.fixture(scope="module")
def rows() -> list[CaseMetrics]:
    found = []
    for number in range(8):
        mask = np.roll(LABEL[: 12 + number], number % 3, axis=1)
        found += overlap_metrics(
            LABEL[: 12 + number], mask, labels=dict(list(LABELS.items())[1:]), case_id=f"c{number}"
        )
    return found


def test_summary_of_many_structures_is_that_of_each_alone(rows: list[CaseMetrics]) -> None:
    whole = summarise(rows)
    assert len(whole.labels) == 117 * 2
    for label in ("s001", "s050", "s117"):
        alone = summarise([row for row in rows if row.label == label])
        assert [entry for entry in whole.labels if entry.label == label] == list(alone.labels)


def test_subgroups_of_many_structures_are_those_of_each_alone(rows: list[CaseMetrics]) -> None:
    cases = [Case(case_id=f"c{n}", patient_id=f"p{n}", images=("a.nii",), site="ab"[n % 2]) for n in range(8)]
    whole = subgroups(rows, cases)
    for label in ("s001", "s050", "s117"):
        alone = subgroups([row for row in rows if row.label == label], cases)
        assert alone
        assert repr([entry for entry in whole if entry.structure == label]) == repr(alone)  # of which ends are NaN
