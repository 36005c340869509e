"""Dice and IoU against hand-computed values and against scikit-learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medseg.errors import GeometryError
from medseg.evaluation.segmentation import overlap_metrics
from medseg.records import Array
from sklearn.metrics import f1_score, jaccard_score

ORGANS = {"liver": 1, "spleen": 2, "tumour": 5}
LABELMAPS: Any = arrays.arrays(np.uint8, (3, 4, 2), elements=st.sampled_from([0, 1, 2, 5]))


def line(*values: int) -> Array:
    return np.array(values, np.uint8).reshape(-1, 1, 1)


def test_overlap_of_four_and_three_voxels_that_share_two() -> None:
    label = line(1, 1, 1, 1, 0, 0, 2)
    mask = line(0, 0, 1, 1, 1, 0, 0)
    liver, spleen, tumour = overlap_metrics(label, mask, labels=ORGANS, case_id="a")
    assert liver.values == pytest.approx({"dice": 2 * 2 / (4 + 3), "iou": 2 / 5})
    assert (liver.case_id, liver.label, liver.label_voxels, liver.mask_voxels) == ("a", "liver", 4, 3)
    assert spleen.values == {"dice": 0.0, "iou": 0.0}
    assert (spleen.label_voxels, spleen.mask_voxels) == (1, 0)
    assert all(math.isnan(value) for value in tumour.values.values())


def test_label_that_is_only_in_the_mask_counts_0() -> None:
    (row,) = overlap_metrics(line(0, 0), line(0, 2), labels={"spleen": 2}, case_id="a")
    assert row.values == {"dice": 0.0, "iou": 0.0}


def test_equal_masks_overlap_wholly_even_with_different_types() -> None:
    label = line(0, 1, 44, 1).astype(np.uint16)
    (row,) = overlap_metrics(label, label.astype(np.uint8), labels={"liver": 1}, case_id="a")
    assert row.values == {"dice": 1.0, "iou": 1.0}


def test_value_above_every_pixel_is_an_empty_label() -> None:
    (row,) = overlap_metrics(line(0, 1), line(1, 0), labels={"far": 900}, case_id="a")
    assert math.isnan(row.values["dice"])


def test_wrong_label_is_no_overlap() -> None:
    rows = overlap_metrics(line(1, 1, 2), line(2, 2, 1), labels={"liver": 1, "spleen": 2}, case_id="a")
    assert [row.values["dice"] for row in rows] == [0.0, 0.0]


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(GeometryError, match=r"case a: mask must have the label's shape \(2, 1, 1\), got \(3, 1, 1\)"):
        overlap_metrics(line(0, 1), line(0, 1, 1), labels=ORGANS, case_id="a")


@settings(max_examples=25, deadline=None)
@given(label=LABELMAPS, mask=LABELMAPS)
def test_iou_follows_from_dice(label: Array, mask: Array) -> None:
    for row in overlap_metrics(label, mask, labels=ORGANS, case_id="a"):
        dice = row.values["dice"]
        assert row.values["iou"] == pytest.approx(dice / (2 - dice), nan_ok=True)
        assert math.isnan(dice) == (row.label_voxels + row.mask_voxels == 0)


@settings(max_examples=25, deadline=None)
@given(label=LABELMAPS, mask=LABELMAPS)
def test_dice_and_iou_are_scikit_learn_s_f1_and_jaccard(label: Array, mask: Array) -> None:
    for row in overlap_metrics(label, mask, labels=ORGANS, case_id="a"):
        truth, drawn = (part.ravel() == ORGANS[row.label] for part in (label, mask))
        if truth.any() or drawn.any():
            assert row.values["dice"] == pytest.approx(f1_score(truth, drawn, zero_division=0.0))
            assert row.values["iou"] == pytest.approx(jaccard_score(truth, drawn, zero_division=0.0))


@settings(max_examples=25, deadline=None)
@given(label=LABELMAPS, mask=LABELMAPS)
def test_label_and_mask_may_change_places(label: Array, mask: Array) -> None:
    there = overlap_metrics(label, mask, labels=ORGANS, case_id="a")
    back = overlap_metrics(mask, label, labels=ORGANS, case_id="a")
    for one, other in zip(there, back, strict=True):
        assert one.values == pytest.approx(other.values, nan_ok=True)
