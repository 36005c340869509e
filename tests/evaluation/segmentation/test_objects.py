"""Objects, boxes and detection of masks that are drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from medseg.errors import GeometryError
from medseg.evaluation.segmentation import box_iou, boxes, detect, instances
from medseg.records import Array
from monai.metrics import compute_panoptic_quality


def drawn(*parts: tuple[slice, slice, slice]) -> Array:
    mask = np.zeros((12, 12, 6), bool)
    for part in parts:
        mask[part] = True
    return mask


BIG = (slice(1, 7), slice(1, 7), slice(1, 5))
SMALL = (slice(9, 11), slice(9, 11), slice(2, 4))


def test_two_parts_are_two_instances_with_their_boxes() -> None:
    numbered = instances(drawn(BIG, SMALL))
    assert np.bincount(numbered.ravel())[1:].tolist() == [6 * 6 * 4, 2 * 2 * 2]
    assert boxes(numbered).tolist() == [[1, 1, 1, 7, 7, 5], [9, 9, 2, 11, 11, 4]]


def test_voxels_that_share_a_corner_are_one_instance() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[1, 1, 1] = mask[2, 2, 2] = True
    assert instances(mask).max() == 1


def test_empty_mask_has_no_instance_and_no_box() -> None:
    assert boxes(instances(drawn())).shape == (0, 6)
    nothing = detect(instances(drawn()), instances(drawn()))
    assert nothing[:3] == (0, 0, 0)
    assert math.isnan(nothing.f1)


def test_boxes_that_share_half_have_an_iou_of_a_third() -> None:
    first = np.array([[0, 0, 0, 4, 4, 4]])
    second = np.array([[2, 0, 0, 6, 4, 4], [0, 0, 0, 4, 4, 4], [8, 8, 8, 9, 9, 9]])
    np.testing.assert_allclose(box_iou(first, second), [[1 / 3, 1, 0]], atol=1e-6)


def test_missed_object_and_false_object_are_counted() -> None:
    stray = (slice(0, 1), slice(11, 12), slice(0, 1))
    cut = (slice(1, 7), slice(1, 7), slice(1, 4))
    result = detect(instances(drawn(BIG, SMALL)), instances(drawn(cut, stray)))
    assert result[:3] == (1, 1, 1)
    assert result.mean_iou == pytest.approx(3 / 4)
    assert result.f1 == pytest.approx(1 / 2)


def test_overlap_of_exactly_half_is_no_match() -> None:
    half = (slice(1, 7), slice(1, 7), slice(1, 3))
    assert detect(instances(drawn(BIG)), instances(drawn(half)))[:3] == (0, 1, 1)


def test_objects_on_other_grids_are_refused() -> None:
    with pytest.raises(GeometryError, match="put both on one grid first"):
        detect(instances(drawn(BIG)), np.zeros((2, 2, 2), np.int32))


@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_monai(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = instances(rng.random((40, 40, 2)) < 0.2)
    mask = instances((label > 0) ^ (rng.random(label.shape) < 0.02))
    counts = compute_panoptic_quality(
        torch.from_numpy(mask), torch.from_numpy(label), match_iou_threshold=0.5, output_confusion_matrix=True
    )
    found, false, missed, iou = counts.tolist()
    result = detect(label, mask)
    assert result[:3] == (found, missed, false)
    assert result.mean_iou == pytest.approx(iou / found)
