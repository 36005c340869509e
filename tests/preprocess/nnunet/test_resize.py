"""Spline resampling against SciPy's own, on whole volumes."""

from __future__ import annotations

import numpy as np
import pytest
from medseg.preprocess.nnunet.config import SplineOrder
from medseg.preprocess.nnunet.grid import nearest_planes
from medseg.preprocess.nnunet.resize import resize
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]
VOLUME: Volume = np.random.default_rng(0).normal(size=(13, 22, 9)).astype(np.float32)
SHAPES = [(20, 11, 9), (13, 50, 4), (5, 5, 30)]


def zoomed(image: NDArray[np.floating], shape: tuple[int, ...], order: SplineOrder) -> NDArray[np.floating]:
    """Resampling as scikit-image's `resize` calls SciPy, with its clipping."""
    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    moved = ndimage.zoom(image.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)
    return np.asarray(np.clip(moved, image.min(), image.max()))


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_volume_is_that_of_scipy(shape: tuple[int, int, int], order: SplineOrder) -> None:
    np.testing.assert_allclose(resize(VOLUME, shape, order=order).numpy(), zoomed(VOLUME, shape, order), atol=3e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coarse_axis_takes_the_nearest_of_slices_that_are_resampled_apart(axis: int) -> None:
    shape = (17, 30, 12)
    slices = np.moveaxis(VOLUME, axis, 0)
    size = tuple(np.delete(shape, axis))
    apart = np.stack([zoomed(image, size, 3) for image in slices])
    scale = len(slices) / shape[axis]
    coordinates = np.mgrid[: shape[axis], : size[0], : size[1]].astype(float)
    coordinates[0] = scale * (coordinates[0] + 0.5) - 0.5
    expected = ndimage.map_coordinates(apart, coordinates, order=0, mode="nearest")
    found = resize(VOLUME, shape, order=3, coarse_axis=axis).numpy()
    np.testing.assert_allclose(np.moveaxis(found, axis, 0), expected, atol=3e-6)


def test_coarse_axis_may_be_interpolated() -> None:
    whole = zoomed(VOLUME, (26, 22, 9), 1)
    np.testing.assert_allclose(resize(VOLUME, (26, 22, 9), order=1, coarse_axis=0, order_z=1).numpy(), whole, atol=3e-6)


def test_same_shape_keeps_every_value() -> None:
    np.testing.assert_array_equal(resize(VOLUME, VOLUME.shape, order=3).numpy(), VOLUME)


def test_a_spline_never_leaves_the_range_of_its_input() -> None:
    steps = np.repeat(np.array([0, 1], np.float32), 8)[:, None, None] * np.ones((1, 4, 4), np.float32)
    moved = resize(steps, (37, 4, 4), order=3)
    assert (moved.min(), moved.max()) == (0, 1)


@pytest.mark.parametrize(
    ("size", "planes", "expected"), [(6, 3, [0, 0, 1, 1, 2, 2]), (2, 6, [1, 4]), (3, 3, [0, 1, 2])]
)
def test_nearest_planes_by_hand(size: int, planes: int, expected: list[int]) -> None:
    assert nearest_planes(size, planes).tolist() == expected
