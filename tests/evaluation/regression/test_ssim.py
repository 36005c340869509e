from __future__ import annotations

import sys
from math import isnan

import numpy as np
import pytest
import torch
from medseg.evaluation.regression import ssim
from medseg.records import Array

from tests.evaluation.regression.made_doses import beam

SPACING_MM = (2.0, 2.0, 2.0)
DOSE, PREDICTED = beam((24, 20, 16), SPACING_MM)


def by_monai(reference: Array, predicted: Array, *, axes: int, value_range: float) -> float:
    from monai.metrics import SSIMMetric

    batch = [torch.from_numpy(volume.astype(np.float64))[None, None] for volume in (predicted, reference)]
    return float(SSIMMetric(axes, data_range=value_range)(*batch))


def test_volume_agrees_with_scikit_image() -> None:
    # scikit-image 0.26.0, structural_similarity(data_range=60, gaussian_weights=True, sigma=1.5,
    # use_sample_covariance=False) on the same doses in double precision
    assert ssim(DOSE, PREDICTED, value_range=60) == pytest.approx(0.9519282916243099, abs=1e-12)


def test_volume_agrees_with_monai() -> None:
    expected = by_monai(DOSE, PREDICTED, axes=3, value_range=60)
    assert ssim(DOSE, PREDICTED, value_range=60) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_single_slice_agrees_with_monai_in_two_dimensions(axis: int) -> None:
    reference, predicted = (np.take(volume, [8], axis=axis) for volume in (DOSE, PREDICTED))
    expected = by_monai(reference.squeeze(axis), predicted.squeeze(axis), axes=2, value_range=60)
    assert ssim(reference, predicted, value_range=60) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("depth", [1, 4, 30])
def test_even_volumes_differ_by_their_brightness_alone(depth: int) -> None:
    a, b, width = 20.0, 26.0, 50.0
    reference, predicted = (np.full((14, 12, depth), value, np.float32) for value in (a, b))
    c1 = (0.01 * width) ** 2
    expected = (2 * a * b + c1) / (a**2 + b**2 + c1)
    assert ssim(reference, predicted, value_range=width) == pytest.approx(expected)


def test_thin_volume_has_whole_similarity_with_itself() -> None:
    assert ssim(DOSE[:, :, :4], DOSE[:, :, :4], value_range=60) == pytest.approx(1)


def test_inverted_contrast_is_dissimilar() -> None:
    board = np.where(np.indices((16, 16, 16)).sum(axis=0) % 2, 1, -1).astype(np.float32)
    c2 = (0.03 * 2) ** 2
    expected = (-2 + c2) / (2 + c2)  # variances of 1, and no mean
    assert ssim(board, -board, value_range=2) == pytest.approx(expected, abs=1e-6)


def test_unknown_voxels_have_no_weight_in_their_neighbours_windows() -> None:
    reference, predicted = DOSE.copy(), PREDICTED.copy()
    reference[9:12, 8:11, 6:9] = np.nan
    predicted[9:12, 8:11, 6:9] = np.nan
    there = ssim(reference, predicted, value_range=60)
    predicted[9:12, 8:11, 6:9] = 1e5
    assert ssim(reference, predicted, value_range=60) == there
    assert 0.9 < there < 1


def test_even_volume_with_unknown_voxels_is_as_without() -> None:
    reference, predicted = np.full((14, 14, 14), 20, np.float32), np.full((14, 14, 14), 26, np.float32)
    whole = ssim(reference, predicted, value_range=50)
    reference[::3, 1::2] = np.nan
    assert ssim(reference, predicted, value_range=50) == pytest.approx(whole)


def test_parts_make_up_the_whole() -> None:
    left = np.zeros(DOSE.shape, bool)
    left[:12] = True
    parts = [ssim(DOSE, PREDICTED, value_range=60, where=where) for where in (left, ~left)]
    weights = [12 - 5, 24 - 12 - 5]  # planes whose windows lie in the scan
    expected = ssim(DOSE, PREDICTED, value_range=60)
    assert np.average(parts, weights=weights) == pytest.approx(expected, abs=1e-12)


def test_result_does_not_depend_on_the_parts_it_is_computed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ssim(DOSE, PREDICTED, value_range=60)
    monkeypatch.setattr(sys.modules[ssim.__module__], "_SLAB_VOXELS", 1)
    assert ssim(DOSE, PREDICTED, value_range=60) == pytest.approx(whole, abs=1e-12)


def test_structure_at_the_edge_of_the_scan_has_no_whole_window() -> None:
    edge = np.zeros(DOSE.shape, bool)
    edge[:4] = True
    assert isnan(ssim(DOSE, PREDICTED, value_range=60, where=edge))
    assert isnan(ssim(DOSE, PREDICTED, value_range=60, where=np.zeros(DOSE.shape, bool)))
