"""The spread of a metric over patients and between folds."""

from __future__ import annotations

import math
from statistics import stdev

import pytest
from medseg.evaluation.segmentation import fold_spread
from medseg.records import CaseMetrics

PATIENTS = {"a1": "a", "a2": "a", "b": "b", "c": "c"}
FOLDS = {"a1": 0, "a2": 0, "b": 1, "c": 1}


def row(case_id: str, dice: float) -> CaseMetrics:
    return CaseMetrics(case_id, "liver", {"dice": dice}, label_voxels=1, mask_voxels=1)


def test_deviations_are_of_the_means_of_patients_and_of_folds() -> None:
    rows = [row("a1", 0.4), row("a2", 0.6), row("b", 0.8), row("c", 0.9)]
    (spread,) = fold_spread(rows, folds=FOLDS, patients=PATIENTS)
    assert spread.over_patients == pytest.approx(stdev([0.5, 0.8, 0.9]))
    assert spread.by_fold == pytest.approx({0: 0.5, 1: 0.85})
    assert spread.between_folds == pytest.approx(stdev([0.5, 0.85]))
    assert str(spread) == (
        "liver Dice: standard deviation 0.2082 over patients, 0.2475 between folds (0.5000 to 0.8500)"
    )


def test_undefined_numbers_do_not_enter_and_a_single_one_has_no_spread() -> None:
    (spread,) = fold_spread([row("a1", 0.4), row("b", math.nan)], folds=FOLDS, patients=PATIENTS)
    assert spread.by_fold == {0: 0.4}
    assert math.isnan(spread.over_patients)
    assert math.isnan(spread.between_folds)
    assert fold_spread([row("b", math.nan)], folds=FOLDS, patients=PATIENTS) == []
