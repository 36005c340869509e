"""Accuracy counts the background, which is why it flatters."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.errors import GeometryError
from medseg.evaluation.segmentation import voxel_accuracy


def test_empty_mask_of_a_voxel_in_a_thousand_is_right_in_999() -> None:
    label = np.zeros((10, 10, 10), bool)
    label[3, 4, 5] = True
    assert voxel_accuracy(label, np.zeros_like(label)) == pytest.approx(0.999)


def test_values_must_agree_not_only_foreground() -> None:
    assert voxel_accuracy(np.array([0, 1, 2, 2]), np.array([0, 1, 1, 2])) == 0.75


def test_shapes_must_agree() -> None:
    with pytest.raises(GeometryError, match="put both on one grid first"):
        voxel_accuracy(np.zeros((2, 2, 1)), np.zeros((2, 2, 2)))
