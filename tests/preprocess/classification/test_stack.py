"""Pictures are the scan's own slices, in order, the right way round."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.plane import Plane
from medseg.preprocess import ChannelNormalisation
from medseg.preprocess.classification import slice_stack, with_context
from medseg.records import Array, Scan
from medseg.scans import read_scan
from PIL import Image

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, grid
from tests.preprocess.classification.scans import NONE, slice_config

# Axes of a RAS+ array in the order picture, picture, slices.
TURNS: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (0, 2, 1), "sagittal": (1, 2, 0)}
planes = st.sampled_from(list(TURNS))


def scan_of(array: Array, geometry: Geometry) -> Scan:
    return Scan(np.ascontiguousarray(array, dtype=np.float32).reshape(-1, *geometry.shape), geometry)


def numbered(geometry: Geometry, axis: int) -> Array:
    """Voxels that hold the number of their slice along an axis, from 1."""
    shape = [-1 if n == axis else 1 for n in range(3)]
    return np.broadcast_to(np.arange(1, geometry.shape[axis] + 1).reshape(shape), geometry.shape)


@settings(max_examples=60, deadline=None)
@given(grids(), planes)
def test_picture_n_shows_slice_n_of_the_scan_and_nothing_of_its_neighbours(geometry: Geometry, plane: Plane) -> None:
    _, found = slice_stack(scan_of(np.ones(geometry.shape), geometry), slice_config(plane=plane))
    scan = scan_of(numbered(geometry, found.axis), geometry)
    stack, _ = slice_stack(scan, slice_config(plane=plane, pixel_mm=min(geometry.spacing_mm)))
    numbers = stack.amax(dim=(1, 2, 3)).numpy()
    in_scan_order = numbers[::-1] if found.is_flipped else numbers
    np.testing.assert_allclose(in_scan_order, np.arange(1, geometry.shape[found.axis] + 1), rtol=1e-5)


@pytest.mark.parametrize("plane", list(TURNS))
@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_pictures_are_nibabel_s_canonical_slices(axcodes: str, plane: Plane) -> None:
    geometry = grid((9, 10, 11), axcodes=axcodes)
    array = np.random.default_rng(0).normal(size=geometry.shape).astype(np.float32)
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(array, geometry.affine)).get_fdata()
    turned = turned.transpose(TURNS[plane])
    stack, _ = slice_stack(scan_of(array, geometry), slice_config(plane=plane, size=turned.shape[:2]))
    np.testing.assert_allclose(stack[:, 0].numpy(), turned.transpose(2, 0, 1), rtol=1e-6)


def test_two_scans_of_one_patient_give_the_same_pictures() -> None:
    geometry = grid((12, 10, 5), spacing_mm=(1, 1.5, 4), angles=(0.1, 0.05, -0.1), axcodes="LPS")
    array = np.random.default_rng(1).normal(size=geometry.shape).astype(np.float32)
    first, along = slice_stack(scan_of(array, geometry), slice_config())
    other = geometry.reoriented("ILA")
    turned = nibabel.as_closest_canonical(nibabel.Nifti1Image(array, geometry.affine))
    wanted = nibabel.orientations.axcodes2ornt("ILA")
    turned = turned.as_reoriented(
        nibabel.orientations.ornt_transform(nibabel.io_orientation(turned.affine), wanted)
    ).get_fdata()
    second, along_too = slice_stack(scan_of(turned, other), slice_config())
    assert (along.axis, along_too.axis, along_too.is_flipped) == (2, 0, True)
    np.testing.assert_allclose(first.numpy(), second.numpy(), atol=1e-5)


def test_larger_pixels_average_what_they_cover() -> None:
    """Stripes one voxel wide in every four, that single samples would hit or miss."""
    geometry = grid((32, 32, 2), spacing_mm=(1, 1, 5))
    array = np.zeros(geometry.shape, np.float32)
    array[::4] = 4.0
    stack, _ = slice_stack(scan_of(array, geometry), slice_config(pixel_mm=4.0, size=(8, 8)))
    inside = stack[:, 0, 2:6, 2:6]
    torch.testing.assert_close(inside, torch.ones_like(inside), atol=0.1, rtol=0)


@pytest.mark.parametrize(("pixel_mm", "pixels"), [(1.0, (8, 16)), (2.0, (4, 8)), (0.5, (16, 32))])
def test_pictures_keep_their_millimetres(pixel_mm: float, pixels: tuple[int, int]) -> None:
    """Eight voxels of 1 mm and four of 4 mm; beyond them the picture is filled with 0 on both sides alike."""
    geometry = grid((8, 4, 3), spacing_mm=(1, 4, 7))
    stack, _ = slice_stack(scan_of(np.ones(geometry.shape), geometry), slice_config(pixel_mm=pixel_mm, size=(40, 40)))
    shown = stack[1, 0].numpy() > 0.5
    assert tuple(shown.any(axis=1 - axis).sum() for axis in (0, 1)) == pixels
    for axis in (0, 1):
        found = np.flatnonzero(shown.any(axis=1 - axis))
        assert found[0] == (40 - pixels[axis]) // 2


@pytest.mark.parametrize("length", [7, 8, 9, 16, 17, 20])
def test_pictures_are_cut_and_filled_about_their_middle(length: int) -> None:
    geometry = grid((length, 8, 2))
    array = np.zeros(geometry.shape, np.float32)
    array[:] = (np.arange(length) + 1.0)[:, None, None]
    stack, _ = slice_stack(scan_of(array, geometry), slice_config(size=(8, 8)))
    row = stack[0, 0, :, 4].numpy()
    start = (length - 8) // 2 if length > 8 else -((8 - length) // 2)
    expected = [n + 1.0 if 0 <= n < length else 0.0 for n in range(start, start + 8)]
    np.testing.assert_allclose(row, expected)


def test_channels_stay_apart_and_have_their_own_intensities() -> None:
    geometry = grid((8, 8, 3))
    array = np.stack([np.full(geometry.shape, 40.0), np.full(geometry.shape, 7.0)])
    ct = ChannelNormalisation(kind="ct", clip_hu=(-100, 30), mean_hu=10, std_hu=4)
    stack, _ = slice_stack(scan_of(array, geometry), slice_config(size=(8, 8), normalisation=(ct, NONE)))
    assert stack.shape == (3, 2, 8, 8)
    assert stack[:, 0].unique().tolist() == [5.0]
    assert stack[:, 1].unique().tolist() == [7.0]


def test_whole_scan_s_statistics_normalise_every_slice() -> None:
    geometry = grid((8, 8, 4))
    array = np.random.default_rng(2).normal(50, 9, geometry.shape)
    zscore = ChannelNormalisation(kind="zscore")
    stack, _ = slice_stack(scan_of(array, geometry), slice_config(size=(8, 8), normalisation=(zscore,)))
    expected = (array - array.mean()) / array.std()
    np.testing.assert_allclose(stack[:, 0].numpy(), expected.transpose(2, 0, 1), atol=1e-4)


def test_wrong_number_of_channels_is_refused() -> None:
    geometry = grid((8, 8, 3))
    with pytest.raises(ConfigError, match="one entry for each of 2 channels, got 1"):
        slice_stack(scan_of(np.zeros((2, *geometry.shape)), geometry), slice_config())


def test_photograph_is_one_picture_that_shows_all_of_it(tmp_path: Path) -> None:
    pixels = np.arange(12 * 9, dtype=np.uint8).reshape(9, 12)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    stack, along = slice_stack(read_scan(tmp_path / "a.png", case_id="a"), slice_config(size=(12, 9)))
    assert (stack.shape, along.axis, along.is_flipped) == ((1, 1, 12, 9), 2, False)
    np.testing.assert_array_equal(np.sort(stack.numpy().ravel()), np.sort(pixels.ravel()))


def test_neighbours_come_lowest_first_and_channel_by_channel() -> None:
    """Slice n of channel c holds 10 c + n; the network expects (channel, slice)."""
    stack = (10 * torch.arange(2)[None, :] + torch.arange(5)[:, None])[..., None, None].float()
    assert with_context(stack, 2, 1).flatten().tolist() == [1, 2, 3, 11, 12, 13]
    assert with_context(stack, 2, 2).flatten().tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]
    assert with_context(stack, 2, 0).flatten().tolist() == [2, 12]


def test_last_slice_is_repeated_beyond_either_end() -> None:
    stack = torch.arange(4.0)[:, None, None, None]
    assert with_context(stack, 0, 2).flatten().tolist() == [0, 0, 0, 1, 2]
    assert with_context(stack, 3, 2).flatten().tolist() == [1, 2, 3, 3, 3]
    assert with_context(stack[:1], 0, 2).flatten().tolist() == [0] * 5


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 8), st.data())
def test_context_has_as_many_channels_as_the_configuration_says(
    count: int, channels: int, context: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, count - 1))
    stack = torch.randn(count, channels, 8, 9)
    picture = with_context(stack, index, context)
    assert len(picture) == slice_config(context=context, normalisation=(NONE,) * channels).channels
    middle = picture.unflatten(0, (channels, 2 * context + 1))[:, context]
    assert torch.equal(middle, stack[index])
