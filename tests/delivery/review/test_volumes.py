"""Scans and masks inside a page."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.review.case import Structure, make_case
from medseg.delivery.review.shades import shades_of
from medseg.delivery.review.volumes import embed_image, embed_mask
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.inference.case_record import CaseRecord
from medseg.inference.mask_page import AxisOrder
from medseg.origin import PictureOrigin
from medseg.records import Scan

from tests.delivery.review.phantoms import box_mask, oblique_grid

STRUCTURES = (Structure("spleen", 3, (255, 0, 0)), Structure("liver", 7, (0, 255, 0)))
RECORD = CaseRecord(
    case_id="a", mask="a.nii.gz", volume_ml={"spleen": 1.0}, in_training=False, seconds=1, peak_memory_bytes=1
)


def test_ct_keeps_four_hu_in_soft_tissue() -> None:
    ct = np.random.default_rng(0).uniform(-1024, 1500, (40, 40, 10)).astype(np.float32)
    shades = shades_of(ct)
    assert shades.is_hu
    decoded = shades.levels[shades.encode(ct)]
    soft = (ct > -200) & (ct < 300)
    assert np.abs(decoded - ct)[soft].max() <= 500 / 128 / 2 + 1e-3
    assert np.abs(decoded - ct)[~soft].max() <= 2771 / 63 / 2 + 1e-3


def test_other_scans_keep_a_256th_of_their_range() -> None:
    pet = np.random.default_rng(0).uniform(0, 12, (40, 40, 10)).astype(np.float32)
    shades = shades_of(pet)
    assert not shades.is_hu
    inner = (pet > 0.1) & (pet < 11.9)
    assert np.abs(shades.levels[shades.encode(pet)] - pet)[inner].max() <= 12 / 255 / 2 + 1e-3


def test_constant_scan_has_a_scale_that_rises() -> None:
    assert (np.diff(shades_of(np.full((4, 4, 4), 5.0)).levels) > 0).all()


def test_large_image_is_averaged_along_its_finest_axes_first() -> None:
    grid = Geometry((64, 65, 20), np.diag([0.5, 0.5, 3.0, 1.0]))
    array = np.random.default_rng(0).normal(size=(1, *grid.shape)).astype(np.float32)
    scan = Scan(array, grid)
    whole = embed_image(scan, AxisOrder.of(grid), has_colours=False, most_bytes=10**9)
    small = embed_image(scan, AxisOrder.of(grid), has_colours=False, most_bytes=len(whole.data) // 3)
    assert (whole.steps, small.steps, small.shape) == ((1, 1, 1), (2, 2, 1), (32, 33, 20))
    assert len(small.data) <= len(whole.data) / 3
    assert small.shades is not None
    codes = np.frombuffer(gzip.decompress(small.data), np.uint8).reshape(small.shape, order="F")
    mean = array[0, 10:12, 20:22, 5].mean()
    assert small.shades.levels[codes[5, 10, 5]] == pytest.approx(mean, abs=np.diff(small.shades.levels).max())


def test_mask_is_exact_on_the_axes_of_the_page() -> None:
    grid = oblique_grid()
    mask, order = box_mask(grid.shape), AxisOrder.of(grid)
    data = gzip.decompress(embed_mask(mask, order, numbers={0: 0, 3: 1, 7: 2}, case_id="a"))
    view = order.view(mask)
    shown = np.frombuffer(data, np.uint8).reshape(view.shape, order="F")
    np.testing.assert_array_equal(np.array([0, 3, 7])[shown], view)


def test_voxels_of_the_page_are_numbered_as_in_the_mask_file() -> None:
    grid = oblique_grid()
    scan = Scan(np.zeros((1, *grid.shape), np.float32), grid)
    mask = box_mask(grid.shape)
    facts = make_case(RECORD, scan, mask, structures=STRUCTURES, picture=None, most_bytes=10**6).facts
    numbers = np.arange(mask.size).reshape(mask.shape, order="F")
    view = AxisOrder.of(grid).view(numbers)
    assert list(view.shape) == facts["shape"]
    for place in np.ndindex(view.shape):
        assert facts["base"] + np.dot(place, facts["strides"]) == view[place]


def test_value_without_a_label_is_refused() -> None:
    mask = np.full((2, 2, 2), 9, np.uint8)
    order = AxisOrder((0, 1, 2), (False, False, False))
    with pytest.raises(DeliveryError, match=r"mask values must be among those of its labels, got \[9\]"):
        embed_mask(mask, order, numbers={0: 0, 3: 1}, case_id="a")


def test_colours_of_a_picture_stand_pixel_by_pixel_from_the_lowest_row(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 1)).astype(np.float32)
    scan = Scan(array, Geometry((5, 4, 1), np.eye(4)), PictureOrigin(tmp_path / "a.png"))
    image = embed_image(scan, AxisOrder.of_picture(), has_colours=True, most_bytes=10**6)
    pixels = np.frombuffer(gzip.decompress(image.data), np.uint8).reshape(4, 5, 3)  # (rows from below, columns, C)
    np.testing.assert_array_equal(pixels, array[:, :, ::-1, 0].transpose(2, 1, 0))
