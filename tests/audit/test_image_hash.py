from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from medseg.audit.canonical import canonical, voxel_digest
from medseg.audit.image_hash import HASH_BITS, PICTURE_SIZE, VOLUME_SIZE, flip_signs, hash_text, image_hash, shrink
from medseg.geometry import Geometry
from medseg.records import Array

from tests.audit.made_up import blob
from tests.grids import ALL_AXCODES, grid


def shrunk(volume: np.ndarray) -> Array:
    small = shrink(volume)
    assert small is not None
    return small


@pytest.mark.parametrize("axcodes", ALL_AXCODES[::7])
def test_export_in_another_orientation_is_the_same_volume(axcodes: str) -> None:
    volume, geometry = blob(0), grid((40, 36, 30), spacing_mm=(1, 2, 3))
    other = geometry.reoriented(axcodes)
    maps = other.axis_maps(geometry)
    turned = volume.transpose([axis.source_axis for axis in maps])
    turned = turned[tuple(slice(None, None, -1 if axis.scale < 0 else 1) for axis in maps)]
    back, back_geometry = canonical(turned, other)
    np.testing.assert_array_equal(back, volume)
    assert back_geometry.is_close(geometry)
    assert voxel_digest([back]) == voxel_digest([volume])


def test_digest_tells_values_shapes_and_channels_apart() -> None:
    volume = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    others = [[volume + 1], [volume.reshape(3, 2, 4)], [volume, volume]]
    assert len({voxel_digest(volumes) for volumes in [[volume], *others]}) == 4
    assert voxel_digest([volume.astype(np.float64)]) == voxel_digest([volume])


@pytest.mark.parametrize("shape", [(40, 36, 30), (40, 36, 1), (8, 90, 3)])
@pytest.mark.parametrize("flips", [*product((False, True), repeat=3)])
def test_hash_of_a_mirror_image_follows_from_the_hash(
    shape: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume = blob(1, shape)
    small = shrunk(volume)
    mirrored = small[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    signs = flip_signs(small.shape, flips)
    if small.shape[2] == 1:
        signs = flip_signs(small.shape, (flips[0], flips[1], False))
    expected = np.where(image_hash(small), 1, -1) * signs
    assert np.mean(np.where(image_hash(mirrored), 1, -1) == expected) > 0.99  # a coefficient may be 0 but for rounding


def test_hash_is_the_signs_of_the_lowest_cosines() -> None:
    i = (np.arange(VOLUME_SIZE[0]) + 0.5) / VOLUME_SIZE[0]
    wave = np.broadcast_to(np.cos(np.pi * i)[:, None, None], VOLUME_SIZE)
    small = np.rint(127 + 100 * wave).astype(np.uint8)
    falling, rising = image_hash(small), image_hash(255 - small)
    assert falling.shape == (HASH_BITS,)
    # The lowest frequencies are (0, 0, 1), (0, 1, 0), (1, 0, 0), and this is a wave of the last.
    assert (bool(falling[2]), bool(rising[2])) == (True, False)


def test_hash_is_written_in_hexadecimal_digits() -> None:
    assert hash_text(np.ones(HASH_BITS, bool)) == "f" * (HASH_BITS // 4)


@pytest.mark.parametrize(("shape", "size"), [((40, 36, 30), VOLUME_SIZE), ((400, 300, 1), PICTURE_SIZE)])
def test_small_image_has_its_size_and_the_whole_range(shape: tuple[int, int, int], size: tuple[int, ...]) -> None:
    small = shrunk(blob(2, shape))
    assert small.shape == size
    assert (small.min(), small.max()) == (0, 255)


def test_small_image_does_not_depend_on_scale_and_offset() -> None:
    volume = blob(3)
    assert np.abs(shrunk(volume).astype(int) - shrunk(7 * volume - 900)).max() <= 1


def test_image_of_nothing_is_not_compared() -> None:
    assert shrink(np.full((9, 9, 9), 5.0)) is None


def test_corners_outside_the_scanners_view_do_not_count() -> None:
    volume = 100 + blob(4, (48, 48, 20))
    i, j = np.meshgrid(np.linspace(-1, 1, 48), np.linspace(-1, 1, 48), indexing="ij")
    is_outside = (i**2 + j**2 > 1)[:, :, None]
    air = float(np.percentile(volume, 1))
    filled = [shrunk(np.where(is_outside, value, volume).astype(np.float32)) for value in (air, air - 20_000)]
    assert np.mean(np.abs(filled[0].astype(int) - filled[1])) < 8


def test_constant_slices_shrink_to_their_means() -> None:
    ramp = np.broadcast_to(np.arange(160, dtype=np.float32)[:, None, None], (160, 20, 20))
    small = shrunk(ramp).astype(float)
    assert np.ptp(small, axis=(1, 2)).max() <= 1
    np.testing.assert_allclose(np.diff(small[2:-2, 0, 0]), np.diff(small[2:-2, 0, 0]).mean(), atol=1.5)


def test_geometry_of_a_canonical_volume_grows_to_right_anterior_superior() -> None:
    _, geometry = canonical(np.zeros((3, 4, 5)), Geometry((3, 4, 5), np.diag([-1.0, -1.0, 1.0, 1.0])))
    assert geometry.axcodes == "RAS"
