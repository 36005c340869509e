"""The small picture of a scan and its mask."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.inference.mask_page import AxisOrder, draw_preview, take_preview
from medseg.inference.mask_page.picture import SIDE, best_planes
from medseg.inference.mask_page.png import encode_png
from medseg.origin import PictureOrigin
from medseg.records import Array, Scan
from PIL import Image

RED, GREEN = (255, 0, 0), (0, 255, 0)


def pixels_of(png: bytes) -> Array:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"))


def columns_of(picture: Array, colour: tuple[int, int, int]) -> Array:
    """Columns in which a colour stands."""
    return np.nonzero((picture == colour).all(axis=2).any(axis=0))[0]


def scan_of(axcodes: str, shape: tuple[int, int, int] = (20, 24, 16)) -> Scan:
    """A scan on a grid whose axes grow towards some directions."""
    ras = Geometry(shape, np.diag([1.0, 1.0, 2.0, 1.0]))
    array = np.random.default_rng(0).normal(size=(1, *ras.reoriented(axcodes).shape)).astype(np.float32)
    return Scan(array, ras.reoriented(axcodes))


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "PIR", "SLA"])
def test_axes_are_ordered_to_the_right_anterior_superior_and_back(axcodes: str) -> None:
    grid = scan_of(axcodes).geometry
    order = AxisOrder.of(grid)
    world = np.stack(np.meshgrid(*map(range, grid.shape), indexing="ij"), axis=-1) @ grid.affine[:3, :3].T
    for axis in range(3):
        seen = np.diff(order.view(world[..., axis]), axis=axis)
        assert (seen > 0).all()
    array = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    np.testing.assert_array_equal(order.back(order.view(array)), array)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SLA"])
def test_right_of_the_patient_is_on_the_left_of_the_axial_plane(axcodes: str) -> None:
    scan = scan_of(axcodes)
    mask = np.zeros(scan.geometry.shape, np.uint8)
    on_the_right, on_the_left = (AxisOrder.of(scan.geometry).view(mask)[part] for part in (np.s_[14:18], np.s_[2:6]))
    on_the_right[:, 8:16, 4:12] = 1
    on_the_left[:, 8:16, 4:12] = 2
    axial = pixels_of(draw_preview(take_preview(scan), mask, {1: RED, 2: GREEN}))[:, :SIDE]
    assert columns_of(axial, RED).max() < columns_of(axial, GREEN).min()


def test_planes_stand_side_by_side_with_square_pixels() -> None:
    scan = scan_of("RAS")
    picture = pixels_of(draw_preview(take_preview(scan), np.zeros(scan.geometry.shape, np.uint8), {}))
    assert picture.shape == (SIDE, 3 * SIDE, 3)
    seen = picture.any(axis=2)
    sizes = [(plane.any(axis=1).sum(), plane.any(axis=0).sum()) for plane in np.split(seen, 3, axis=1)]
    extents = [(24, 20), (32, 20), (32, 24)]  # rows and columns in mm: axial, coronal, sagittal
    for (rows, columns), (height, width) in zip(sizes, extents, strict=True):
        assert (rows, columns) == pytest.approx((SIDE, SIDE * width / height), abs=2)


def test_one_voxel_of_a_large_scan_is_not_lost() -> None:
    grid = Geometry((300, 200, 140), np.eye(4))
    mask = np.zeros(grid.shape, np.uint8)
    mask[200, 101, 71] = 5
    scan = Scan(np.zeros((1, *grid.shape), np.float32), grid)
    preview = take_preview(scan)
    assert preview.shades.nbytes < 2**21
    assert np.count_nonzero(preview.reduced(mask) == 5) == 1
    assert (pixels_of(draw_preview(preview, mask, {5: RED})) == RED).all(axis=2).any()


def test_reduced_mask_is_the_largest_value_of_each_block() -> None:
    grid = Geometry((257, 130, 5), np.eye(4))  # steps 3, 2, 1
    mask = np.random.default_rng(1).integers(0, 9, grid.shape).astype(np.uint8)
    reduced = take_preview(Scan(np.zeros((1, *grid.shape), np.float32), grid)).reduced(mask)
    assert reduced.shape == (86, 65, 5)
    padded = np.pad(mask, ((0, 1), (0, 0), (0, 0)))
    np.testing.assert_array_equal(reduced, padded.reshape(86, 3, 65, 2, 5).max(axis=(1, 3)))


def test_plane_with_most_of_all_structures_is_chosen() -> None:
    mask = np.zeros((8, 9, 10), np.uint8)
    mask[2:7, 3:6, 4] = 1
    mask[4, 3:6, 2:9] = 2
    assert best_planes(mask)[2] == 4
    assert best_planes(np.zeros((8, 9, 10), np.uint8)) == [4, 4, 5]


def test_picture_keeps_its_colours_and_its_top(tmp_path: Path) -> None:
    colours = np.zeros((3, 40, 30, 1), np.float32)  # (C, columns, rows, 1)
    colours[0, :, :15] = 255  # the upper half is red
    colours[2, :, 15:] = 255
    mask = np.zeros((40, 30, 1), np.uint8)
    mask[2:6, 2:6] = 1
    scan = Scan(colours, Geometry((40, 30, 1), np.eye(4)), PictureOrigin(tmp_path / "a.png"))
    picture = pixels_of(draw_preview(take_preview(scan), mask, {1: GREEN}))
    assert picture.shape == (30, 40, 3)
    assert tuple(picture[10, 20]) == RED
    assert tuple(picture[25, 20]) == (0, 0, 255)
    assert tuple(picture[2, 2]) == GREEN


def test_single_slice_is_one_plane_under_its_own_letters() -> None:
    grid = Geometry((30, 40, 1), np.eye(4))
    mask = np.zeros(grid.shape, np.uint8)
    mask[5:9, 5:9] = 1
    picture = pixels_of(draw_preview(take_preview(Scan(np.ones((1, 30, 40, 1)), grid)), mask, {1: RED}))
    assert picture.shape == (SIDE, 3 * SIDE, 3)
    assert 0 < columns_of(picture, RED).max() < SIDE
    assert not picture[:, SIDE:].any()


def test_more_structures_than_usual_keep_their_own_colours() -> None:
    grid = Geometry((120, 20, 1), np.eye(4))
    mask = np.repeat(np.arange(1, 121, dtype=np.uint8)[:, None, None], 20, axis=1)
    colours = {n: (n, 255 - n, 7) for n in range(1, 121)}
    picture = pixels_of(draw_preview(take_preview(Scan(np.zeros((1, *grid.shape)), grid)), mask, colours))
    shown = {tuple(map(int, colour)) for colour in np.unique(picture.reshape(-1, 3), axis=0)} - {(0, 0, 0)}
    assert shown == set(colours.values())


def test_png_is_read_by_another_library() -> None:
    colours = np.random.default_rng(2).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(encode_png(colours)), colours)
    numbers = np.arange(35, dtype=np.uint8).reshape(7, 5)
    palette = np.random.default_rng(3).integers(0, 256, (35, 3)).astype(np.uint8)
    np.testing.assert_array_equal(pixels_of(encode_png(numbers, palette)), palette[numbers])


def test_constant_scan_and_empty_mask_are_drawn() -> None:
    scan = Scan(np.full((1, 6, 7, 8), 3.0, np.float32), Geometry((6, 7, 8), np.eye(4)))
    assert not pixels_of(draw_preview(take_preview(scan), np.zeros((6, 7, 8), np.uint8), {})).any()
