"""Pictures of masks on scans, looked at pixel by pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.segmentation import save_overlay
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.records import Array, Scan
from medseg.targets import ExclusiveLabels
from PIL import Image

RAS = Geometry((40, 32, 20), np.diag([2.0, 2.0, 4.0, 1.0]))
AMBER, BLUE = (0xFF, 0xB0, 0x00), (0x40, 0xB0, 0xFF)
PANEL_WIDTH = 12 * 110 / 3


def pixels(path: Path) -> Array:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB")).astype(int)


def places(picture: Array, colour: tuple[int, int, int], *, panel: int) -> Array:
    """Rows and columns, within a panel and above the legend, of pixels of nearly a colour."""
    close = np.abs(picture - np.array(colour)).max(axis=2) < 40
    close[int(0.9 * len(picture)) :] = False
    found = np.argwhere(close)
    inside = (found[:, 1] >= panel * PANEL_WIDTH) & (found[:, 1] < (panel + 1) * PANEL_WIDTH)
    return found[inside] - [0, int(panel * PANEL_WIDTH)]


def box(shape: tuple[int, ...], corner: tuple[int, int, int], size: tuple[int, int, int]) -> Array:
    array = np.zeros(shape, np.uint8)
    i, j, k = (slice(c, c + n) for c, n in zip(corner, size, strict=True))
    array[i, j, k] = 1
    return array


def right_front_top(grid: Geometry = RAS) -> tuple[Scan, Array]:
    """A bright blob on the patient's right, in front and on top, and its label, on any grid of the same patient."""
    label = box(RAS.shape, (29, 22, 13), (8, 8, 5))
    image = 0.2 * np.ones(RAS.shape, np.float32) + label
    maps = grid.axis_maps(RAS)
    order = [axis_map.source_axis for axis_map in maps]
    flipped = [axis for axis, axis_map in enumerate(maps) if axis_map.scale < 0]
    image, label = (np.flip(part.transpose(order), flipped).copy() for part in (image, label))
    return Scan(image[np.newaxis], grid), label


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SAL", "PIR"])
def test_patient_s_right_is_on_the_viewer_s_left_whatever_the_scan_s_axes(tmp_path: Path, axcodes: str) -> None:
    scan, label = right_front_top(RAS.reoriented(axcodes))
    path = tmp_path / "a.png"
    save_overlay(scan, label, label, path, target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    picture = pixels(path)
    height, middle = len(picture) / 2, PANEL_WIDTH / 2
    axial, coronal, sagittal = (places(picture, AMBER, panel=panel) for panel in range(3))
    assert len(axial) > 100
    assert axial[:, 1].max() < middle  # right of the patient
    assert axial[:, 0].max() < height  # in front
    assert coronal[:, 1].max() < middle  # right of the patient
    assert coronal[:, 0].max() < height  # on top
    assert sagittal[:, 1].max() < middle  # in front
    assert sagittal[:, 0].max() < height  # on top


def test_outline_lies_round_the_bright_blob(tmp_path: Path) -> None:
    scan, label = right_front_top()
    save_overlay(scan, label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    picture = pixels(tmp_path / "a.png")
    for panel in range(3):
        part = picture[:, int(panel * PANEL_WIDTH) : int((panel + 1) * PANEL_WIDTH)]
        bright = part.min(axis=2) > 250
        bright[:40] = False  # the title
        outline = places(picture, AMBER, panel=panel)
        for axis in range(2):
            # Lines of more than 40 bright pixels cross the blob (letters are smaller); half a voxel is 5 pixels.
            lines = np.flatnonzero(bright.sum(axis=1 - axis) > 40)
            assert outline[:, axis].min() == pytest.approx(lines.min(), abs=4)
            assert outline[:, axis].max() == pytest.approx(lines.max(), abs=4)


def test_pixels_are_drawn_in_proportion_to_millimetres(tmp_path: Path) -> None:
    """A box of 16×16×20 mm on voxels of 2×2×4 mm."""
    scan, label = right_front_top()
    save_overlay(scan, label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    picture = pixels(tmp_path / "a.png")
    for panel, proportion in enumerate((1.0, 20 / 16, 20 / 16)):
        height, width = np.ptp(places(picture, AMBER, panel=panel), axis=0)
        assert height / width == pytest.approx(proportion, rel=0.08)


def test_reference_and_mask_are_both_drawn_each_at_its_place(tmp_path: Path) -> None:
    scan, label = right_front_top()
    mask = box(RAS.shape, (4, 22, 13), (8, 8, 5))
    save_overlay(scan, label, mask, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    columns = places(pixels(tmp_path / "a.png"), AMBER, panel=0)[:, 1]
    left, right = columns[columns < PANEL_WIDTH / 2], columns[columns > PANEL_WIDTH / 2]
    assert len(left) > len(right) > 50  # the mask's outline is dashed


def test_labels_have_colours_of_their_own(tmp_path: Path) -> None:
    scan, label = right_front_top()
    label[4:12, 22:30, 13:18] = 7
    save_overlay(
        scan, label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1, "other": 7}), title="case a"
    )
    picture = pixels(tmp_path / "a.png")
    assert places(picture, AMBER, panel=0)[:, 1].max() < PANEL_WIDTH / 2
    assert places(picture, BLUE, panel=0)[:, 1].min() > PANEL_WIDTH / 2


def test_case_without_any_label_is_drawn_through_its_middle(tmp_path: Path) -> None:
    scan, label = right_front_top()
    save_overlay(
        scan, 0 * label, 0 * label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a"
    )
    picture = pixels(tmp_path / "a.png")
    assert all(len(places(picture, AMBER, panel=panel)) == 0 for panel in range(3))
    assert picture.max() > 200


def test_cut_goes_through_the_mask_where_there_is_no_reference(tmp_path: Path) -> None:
    scan, label = right_front_top()
    save_overlay(scan, 0 * label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    assert all(len(places(pixels(tmp_path / "a.png"), AMBER, panel=panel)) > 50 for panel in range(3))


def test_oblique_scan_is_drawn(tmp_path: Path) -> None:
    angle = np.radians(20.0)
    affine = np.array(RAS.affine)
    affine[:2, :2] = affine[:2, :2] @ [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan, label = right_front_top()
    oblique = Scan(scan.array, Geometry(RAS.shape, affine))
    save_overlay(oblique, label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    assert len(places(pixels(tmp_path / "a.png"), AMBER, panel=0)) > 100


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_is_shown_upright_and_whole(tmp_path: Path, channels: int) -> None:
    """The blob is in the last columns (i) and the first rows (j) of a picture that is wider than high."""
    grid = Geometry((60, 40, 1), np.eye(4))
    label = box(grid.shape, (44, 4, 0), (12, 10, 1))
    array = np.repeat(label[np.newaxis].astype(np.float32) * 200 + 20, channels, axis=0)
    save_overlay(
        Scan(array, grid), label, label, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a"
    )
    picture = pixels(tmp_path / "a.png")
    close = np.argwhere(np.abs(picture - np.array(AMBER)).max(axis=2) < 40)
    outline = close[close[:, 0] < 0.9 * len(picture)]
    assert len(outline) > 100
    assert outline[:, 1].min() > picture.shape[1] / 2
    assert outline[:, 0].max() < picture.shape[0] / 2


def test_picture_of_one_row_is_shown_from_its_front(tmp_path: Path) -> None:
    """Its three colours stay colours: the axis across it is k, though i or j has one pixel too."""
    array = np.zeros((3, 1, 40, 1), np.float32)
    array[0, :, :20] = 200  # red above, black below
    empty = np.zeros((1, 40, 1), np.uint8)
    scan = Scan(array, Geometry((1, 40, 1), np.eye(4)), PictureOrigin(Path("a.png")))
    save_overlay(scan, empty, empty, tmp_path / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a")
    picture = pixels(tmp_path / "a.png")
    height, width = (
        picture.shape[0],
        int(np.count_nonzero((picture[:, :, 0] > 200) & (picture[:, :, 1] < 50), axis=1).max()),
    )
    assert 0 < width < height / 10


def test_picture_replaces_the_last_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    scan, label = right_front_top()
    (tmp_path / "sub").mkdir()
    for _ in range(2):
        save_overlay(
            scan, label, label, tmp_path / "sub" / "a.png", target=ExclusiveLabels(labels={"blob": 1}), title="case a"
        )
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.png"]
