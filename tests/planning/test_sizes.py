"""Patches and strides that fit the scans, the device and each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import UNet
from medseg.planning.sizes import RESOURCES, DeviceKind, plan_patch, plan_strides

SIZES = st.integers(6, 600)
SPACINGS = st.sampled_from([0.3, 0.45, 0.78, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 5.0, 6.0])


def test_isotropic_patch_is_halved_along_all_axes_down_to_four_voxels() -> None:
    strides, kernels = plan_strides(np.array([64, 64, 64]), np.ones(3), is_2d=False)
    assert strides == [[1, 1, 1]] + [[2, 2, 2]] * 4
    assert kernels == [[3, 3, 3]] * 5


def test_coarse_axis_waits_until_the_others_are_as_coarse() -> None:
    strides, kernels = plan_strides(np.array([64, 64, 16]), np.array([1.0, 1.0, 4.0]), is_2d=False)
    assert strides == [[1, 1, 1], [2, 2, 1], [2, 2, 1], [2, 2, 2], [2, 2, 2]]
    assert kernels == [[3, 3, 1], [3, 3, 1], [3, 3, 3], [3, 3, 3], [3, 3, 3]]


def test_short_axis_is_not_halved_below_four_voxels() -> None:
    strides, _ = plan_strides(np.array([32, 32, 6]), np.array([1.0, 1.0, 4.0]), is_2d=False)
    assert np.prod(strides, axis=0).tolist() == [8, 8, 1]


def test_network_has_at_most_six_stages() -> None:
    strides, _ = plan_strides(np.array([512, 512, 1]), np.ones(3), is_2d=True)
    assert strides == [[1, 1]] + [[2, 2]] * 5


def test_patch_covers_a_scan_that_fits() -> None:
    patch = plan_patch(np.array([50, 41, 30]), np.ones(3), is_2d=False, voxels=64**3)
    assert patch == (56, 48, 32)
    assert plan_patch(np.array([50, 41, 30]), np.ones(3), is_2d=False, voxels=64**3, is_tight=True) == (52, 44, 32)


def test_odd_sizes_are_halved_while_half_of_four_voxels_remains() -> None:
    strides, _ = plan_strides(np.array([36, 52, 28]), np.ones(3), is_2d=False, is_even=False)
    assert strides == [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 1]]  # 36, 18, 9, 5; 52, 26, 13, 7; 28, 14, 7
    strides, _ = plan_strides(np.array([36, 52, 28]), np.ones(3), is_2d=False)
    assert strides == [[1, 1, 1], [2, 2, 2], [2, 2, 2]]


def test_patch_that_does_not_fit_loses_its_longest_side_in_mm() -> None:
    patch = plan_patch(np.array([100, 100, 100]), np.array([1.0, 1.0, 3.0]), is_2d=False, voxels=64**3)
    assert patch[2] < patch[0] == patch[1]
    assert np.prod(patch) <= 64**3


def test_tiny_scan_gets_a_patch_of_eight_voxels() -> None:
    assert plan_patch(np.array([3, 5, 2]), np.ones(3), is_2d=False, voxels=64**3) == (8, 8, 8)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(SIZES, SIZES, SIZES),
    spacing=st.tuples(SPACINGS, SPACINGS, SPACINGS),
    is_2d=st.booleans(),
    device=st.sampled_from(["cpu", "cuda"]),
    is_tight=st.booleans(),
)
def test_patch_is_within_its_limit_and_keeps_four_voxels_where_it_is_halved(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], is_2d: bool, device: DeviceKind, is_tight: bool
) -> None:
    if is_2d:
        shape, spacing = (*shape[:2], 1), (1.0, 1.0, 1.0)
    limit = RESOURCES[device, is_2d].patch_voxels
    patch = plan_patch(np.array(shape), np.array(spacing), is_2d=is_2d, voxels=limit, is_tight=is_tight)
    strides, kernels = plan_strides(np.array(patch), np.array(spacing), is_2d=is_2d, is_even=not is_tight)
    axes = 2 if is_2d else 3
    total = np.prod(strides, axis=0)
    reduced = np.ceil(np.array(patch[:axes]) / total)
    assert is_tight or (reduced == np.array(patch[:axes]) / total).all()
    assert np.prod(patch) <= limit
    assert (reduced >= np.where(total > 1, 4, 2)).all()
    assert len(strides) == len(kernels) <= 6
    assert all(stride in (1, 2) for stage in strides for stride in stage)
    assert patch[2] == 1 or not is_2d


@pytest.mark.parametrize(
    ("shape", "spacing", "is_2d"),
    [((25, 19, 11), (1.0, 1.0, 1.0), False), ((40, 33, 9), (0.8, 0.8, 5.0), False), ((75, 53, 1), (1, 1, 1), True)],
)
def test_network_of_the_plan_takes_the_patch(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], is_2d: bool
) -> None:
    patch = plan_patch(np.array(shape), np.array(spacing), is_2d=is_2d, voxels=64**3)
    strides, kernels = plan_strides(np.array(patch), np.array(spacing), is_2d=is_2d)
    stages = len(strides)
    config = NetworkConfig(
        spatial_dims=2 if is_2d else 3,
        in_channels=1,
        out_channels=2,
        channels=(4,) * stages,
        strides=tuple(map(tuple, strides)),
        kernels=tuple(map(tuple, kernels)),
        blocks=(1,) * stages,
        decoder_blocks=(1,) * (stages - 1),
    )
    size = patch[: config.spatial_dims]
    network = UNet(config).to("meta")
    assert network(torch.empty(1, 1, *size, device="meta")).shape == (1, 2, *size)


def test_short_axis_does_not_stop_the_others_from_being_halved() -> None:
    strides, kernels = plan_strides(np.array([32, 32, 6]), np.ones(3), is_2d=False)
    assert strides == [[1, 1, 1], [2, 2, 1], [2, 2, 1], [2, 2, 1]]
    assert kernels == [[3, 3, 3]] * 4


def test_patch_of_very_thick_slices_keeps_its_slices() -> None:
    patch = plan_patch(np.array([600, 600, 1]), np.array([0.1, 0.1, 150.0]), is_2d=False, voxels=64**3)
    assert min(patch) >= 2
    assert np.prod(patch) <= 64**3
