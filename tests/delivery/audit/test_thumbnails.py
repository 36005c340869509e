"""Small pictures of cases, looked at pixel by pixel."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from medseg.audit import Audit
from medseg.delivery.audit import draw_planes
from medseg.delivery.audit.page import render_page
from medseg.origin import PictureOrigin
from medseg.records import Scan
from PIL import Image

from tests.audit.made_up import case_of, facts_of
from tests.grids import grid
from tests.manifest.datasets import manifest_of


def test_planes_are_as_wide_and_high_as_the_patient() -> None:
    geometry = grid((20, 40, 10), spacing_mm=(2, 1, 8), axcodes="SPL")
    scan = Scan(np.random.default_rng(0).random((1, *geometry.shape)).astype(np.float32), geometry)
    axial, coronal, sagittal = draw_planes(scan, None, {})
    # 40 mm from left to right, 40 mm from back to front, 80 mm from feet to head; the longest is 200 pixels.
    assert (axial.size, coronal.size, sagittal.size) == ((100, 100), (100, 200), (100, 200))
    assert (axial.letters, coronal.letters, sagittal.letters) == ("RLAP", "RLSI", "APSI")


def test_planes_show_the_right_of_the_patient_on_the_left_and_the_label_in_colour() -> None:
    geometry = grid((20, 20, 20), axcodes="LPS")
    right_front_low = geometry.world_mm(np.array([[3.0, 3.0, 3.0]]))[0]
    assert right_front_low[0] > geometry.world_mm(np.array([[16.0, 16.0, 16.0]]))[0, 0]
    image = np.zeros((1, 20, 20, 20), np.float32)
    image[0, 3, 3, 3] = 1
    label = np.zeros((20, 20, 20), np.uint8)
    label[1:6, 1:6, 1:6] = 1
    axial, coronal, _ = draw_planes(Scan(image, geometry), label, {"organ": 1})
    drawn = np.asarray(Image.open(io.BytesIO(axial.jpeg)), dtype=float)
    colour = np.abs(drawn - drawn.mean(axis=2, keepdims=True)).sum(axis=2)
    assert colour[:100, :100].sum() > 10 * colour[100:, 100:].sum() + 1  # front is up, right is left
    drawn = np.asarray(Image.open(io.BytesIO(coronal.jpeg)), dtype=float)
    colour = np.abs(drawn - drawn.mean(axis=2, keepdims=True)).sum(axis=2)
    assert colour[100:, :100].sum() > 10 * colour[:100, 100:].sum() + 1  # feet are down


def test_label_is_drawn_in_the_colour_of_the_legend() -> None:
    names = {"background": 0, "liver": 3, "spleen": 12}
    image = np.zeros((1, 30, 30, 30), np.float32)
    label = np.full((30, 30, 30), 12, np.uint8)
    label[:, :, ::2] = 3
    for value, name in ((3, "liver"), (12, "spleen")):
        chosen = np.where(label == value, value, 0).astype(np.uint8)
        axial = draw_planes(Scan(image, grid((30, 30, 30))), chosen, names)[0]
        drawn = np.asarray(Image.open(io.BytesIO(axial.jpeg)), dtype=float)[100, 100]
        page = render_page(Audit(manifest_of([case_of("a")], labels=names), (), (facts_of("a"),), ("a",)))
        code = re.search(rf'background:#(\w+)"></i>{name}', page)
        assert code is not None
        colour = np.array([int(code[1][at : at + 2], 16) for at in (0, 2, 4)])
        np.testing.assert_allclose(drawn / drawn.max(), colour / colour.max(), atol=0.1)


def test_value_without_a_name_is_drawn_in_white() -> None:
    image = np.zeros((1, 30, 30, 30), np.float32)
    label = np.full((30, 30, 30), 300, np.int16)
    label[15:] = 1
    axial = draw_planes(Scan(image, grid((30, 30, 30))), label, {"liver": 1})[0]
    drawn = np.asarray(Image.open(io.BytesIO(axial.jpeg)), dtype=float)
    unnamed, liver = (drawn[100, column] / drawn[100, column].max() for column in (150, 50))
    np.testing.assert_allclose(unnamed, 1, atol=0.05)
    np.testing.assert_allclose(liver, np.array([221, 130, 101]) / 221, atol=0.1)


def test_slices_shown_are_those_with_most_of_the_label() -> None:
    image = np.zeros((1, 300, 10, 10), np.float32)
    image[0, 252] = np.eye(10)
    label = np.zeros((300, 10, 10), np.uint8)
    label[252, 2:8, 2:8] = 1
    label[30:40, 5, 5] = 1
    sagittal = draw_planes(Scan(image, grid((300, 10, 10))), label, {"organ": 1})[2]
    assert np.asarray(Image.open(io.BytesIO(sagittal.jpeg))).std() > 5


def test_single_slice_has_one_plane_of_its_own_orientation() -> None:
    image = np.random.default_rng(0).random((1, 12, 1, 14)).astype(np.float32)
    (plane,) = draw_planes(Scan(image, grid((12, 1, 14))), None, {})
    assert (plane.name, plane.letters) == ("coronal", "RLSI")


def test_picture_keeps_its_colours() -> None:
    image = np.zeros((3, 30, 20, 1), np.float32)
    image[0, :15] = 255
    (plane,) = draw_planes(Scan(image, grid((30, 20, 1)), PictureOrigin(Path("a.png"))), None, {})
    drawn = np.asarray(Image.open(io.BytesIO(plane.jpeg)), dtype=float)
    assert plane.size == (200, 133)
    np.testing.assert_allclose(drawn[60, 40], (255, 0, 0), atol=12)
    np.testing.assert_allclose(drawn[60, 160], (0, 0, 0), atol=12)
