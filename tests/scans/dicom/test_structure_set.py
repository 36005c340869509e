"""RTSTRUCT: planar contours as masks on the image's grid, with a note for whatever could not be drawn as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from medseg.errors import GeometryError, ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import NO_CONTOUR, Drawn, draw_label_object, label_extents, read_label_object
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from tests.dicom_files import write_series, write_structure_set
from tests.grid_strategies import grids
from tests.grids import grid

SLANTED = grid((20, 24, 9), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
SQUARE = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], float)


def lps(geometry: Geometry, voxels: np.ndarray) -> np.ndarray:
    return voxels @ geometry.to_lps()[:3, :3].T + geometry.to_lps()[:3, 3]


def flat(polygon: np.ndarray, k: float, geometry: Geometry = SLANTED) -> np.ndarray:
    """A polygon in voxels of a slice as LPS millimetres."""
    return lps(geometry, np.column_stack([polygon, np.full(len(polygon), k)]))


def square(size: float, corner: tuple[float, float], k: float) -> np.ndarray:
    return flat(SQUARE * size + corner, k)


def write(path: Path, contours: dict[str, list[np.ndarray]], geometry: Geometry = SLANTED, **more: Any) -> Dataset:
    images = write_series(np.zeros(geometry.shape, np.int16), geometry, path.parent / "images")
    return write_structure_set(contours, images, path, **more)


def draw(path: Path, geometry: Geometry = SLANTED, *, tolerance: float = 0.1) -> list[Drawn]:
    return list(draw_label_object(read_label_object(path), geometry, tolerance=tolerance))


def draw_one(folder: Path, contours: list[np.ndarray], *, tolerance: float = 0.1, **more: Any) -> Drawn:
    write(folder / "RS", {"GTV": contours}, **more)
    (drawn,) = draw(folder / "RS", tolerance=tolerance)
    return drawn


def test_square_holds_the_voxels_whose_centres_it_holds(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 6.5), k) for k in (2, 3)])
    expected = np.zeros(SLANTED.shape, bool)
    expected[2:5, 7:10, 2:4] = True
    assert drawn.name == "GTV"
    assert drawn.notes == ()
    np.testing.assert_array_equal(drawn.mask, expected)


@settings(max_examples=20, deadline=None)
@given(geometry=grids(min_size=4), seed=st.integers(0, 2**32 - 1))
def test_any_polygon_on_any_grid_is_as_matplotlib_fills_it(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("structures")
    rng = np.random.default_rng(seed)
    width, height, depth = geometry.shape
    centres = np.stack(np.meshgrid(np.arange(width), np.arange(height), indexing="ij"), axis=-1).reshape(-1, 2)
    expected = np.zeros(geometry.shape, bool)
    contours = []
    for k in range(1, depth - 1):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 12))
        spokes = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(1, 5, (12, 1))
        polygon = spokes + rng.uniform(0, (width, height))
        contours.append(flat(polygon, k, geometry))
        expected[:, :, k] = Outline(np.vstack([polygon, polygon[:1]])).contains_points(centres).reshape(width, height)
    write(folder / "RS", {"GTV": contours}, geometry)
    (drawn,) = draw(folder / "RS", geometry)
    # Coordinates are written to a millionth of a millimetre: a centre nearer than that to an edge may go either way.
    assert (drawn.mask != expected).sum() <= 1
    assert drawn.mask[:, :, [0, -1]].sum() == 0


def test_inner_contour_is_a_hole(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(10, (0.5, 0.5), 4), square(4, (3.5, 3.5), 4)])
    assert drawn.mask.sum() == 100 - 16
    assert not drawn.mask[4:8, 4:8, 4].any()


def test_contours_of_a_slice_that_lie_apart_are_both_filled(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (0.5, 0.5), 4), square(4, (10.5, 8.5), 4)])
    assert drawn.mask.sum() == 9 + 16


def test_hole_a_little_off_its_slice_is_still_a_hole(tmp_path: Path) -> None:
    """Contours of one plane to within a tenth of a voxel belong together."""
    for number, off in enumerate((0.0, 0.024, 0.026, 0.05, 0.09)):
        drawn = draw_one(tmp_path / str(number), [square(10, (0.5, 0.5), 4.024), square(4, (3.5, 3.5), 4 + off)])
        assert drawn.mask.sum() == 100 - 16
        assert drawn.notes == ()


def test_structures_that_touch_share_no_voxel(tmp_path: Path) -> None:
    """The edge between them runs through the centre of a voxel, (8, 7)."""
    left = np.array([[1.5, 1.5], [1.5, 12.5], [7, 12.5], [9, 1.5]])
    right = np.array([[9, 1.5], [7, 12.5], [15.5, 12.5], [15.5, 1.5]])
    whole = np.array([[1.5, 1.5], [1.5, 12.5], [15.5, 12.5], [15.5, 1.5]])
    write(tmp_path / "RS", {name: [flat(one, 4)] for name, one in (("a", left), ("b", right), ("c", whole))})
    a, b, c = (one.mask for one in draw(tmp_path / "RS"))
    assert not (a & b).any()
    np.testing.assert_array_equal(a | b, c)


@pytest.mark.parametrize("is_closed", [False, True])
def test_area_of_a_circle_is_that_of_the_circle(tmp_path: Path, is_closed: bool) -> None:
    geometry = grid((120, 110, 3), spacing_mm=(0.7, 0.8, 2.0), angles=(0.3, 0.2, 0.1), axcodes="LPS")
    angles = np.linspace(0, 2 * np.pi, 361 if is_closed else 360, endpoint=is_closed)
    radius_mm = 30.0
    circle = np.stack([55 + radius_mm / 0.7 * np.cos(angles), 52 + radius_mm / 0.8 * np.sin(angles)], axis=1)
    write(tmp_path / "RS", {"disc": [flat(circle, 1, geometry)]}, geometry)
    (drawn,) = draw(tmp_path / "RS", geometry)
    assert drawn.mask.sum() * 0.7 * 0.8 == pytest.approx(np.pi * radius_mm**2, rel=0.01)
    np.testing.assert_allclose(np.argwhere(drawn.mask).mean(axis=0), [55, 52, 1], atol=0.05)


def test_slices_without_a_contour_between_others_are_noted(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), k) for k in (1, 3, 5)])
    assert drawn.notes == ("2 slice(s) between its first and last contour have none",)
    assert np.flatnonzero(drawn.mask.any(axis=(0, 1))).tolist() == [1, 3, 5]


def test_contours_outside_the_image_are_noted(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), k) for k in (-2, -1, 0, 1, 9)])
    assert drawn.notes == ("3 contour plane(s) lie outside the image",)
    assert np.flatnonzero(drawn.mask.any(axis=(0, 1))).tolist() == [0, 1]


def test_contours_beside_the_image_or_partly_outside_it_are_noted(tmp_path: Path) -> None:
    contours = [square(3, (1.5, 1.5), 2), square(3, (30.5, 1.5), 2), square(4, (-2.5, 3.5), 3), square(3, (1.5, 30), 4)]
    drawn = draw_one(tmp_path, contours)
    assert drawn.notes == ("2 contour(s) lie outside the image", "1 contour(s) lie partly outside the image")
    assert drawn.mask.sum() == 9 + 2 * 4


def test_contours_along_the_edge_of_the_image_leave_nothing_out(tmp_path: Path) -> None:
    outline = flat(SQUARE * SLANTED.shape[:2] - 0.5, 2)
    drawn = draw_one(tmp_path, [outline])
    assert drawn.notes == ()
    assert drawn.mask[:, :, 2].all()


def test_contours_that_hold_no_pixel_centre_are_noted(tmp_path: Path) -> None:
    line = flat(np.array([[2, 3.4], [9, 3.4], [12, 3.4], [2, 3.4]]), 5)
    tiny = [square(0.3, (8.2, 9.2), k) for k in (2, 4)]
    hole = square(0.3, (2.2, 3.2), 2)
    drawn = draw_one(tmp_path, [square(6, (0.5, 1.5), 2), hole, *tiny, line])
    assert "4 contour(s) hold no pixel centre" in drawn.notes
    assert drawn.mask.sum() == 36


def test_contour_between_slices_goes_to_the_nearest_and_is_noted(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), 2.3)])
    assert drawn.notes == ("1 contour plane(s) lie between slices and were drawn on the nearest",)
    assert np.flatnonzero(drawn.mask.any(axis=(0, 1))).tolist() == [2]


def test_contour_between_slices_is_not_noted_where_a_repair_moved_them(tmp_path: Path) -> None:
    assert draw_one(tmp_path, [square(3, (1.5, 1.5), 2.3)], tolerance=0.5).notes == ()


def test_nearer_contour_is_taken_where_two_planes_meet_in_a_slice(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), 1.7), square(5, (1.5, 1.5), 2.1), square(4, (1.5, 1.5), 2.4)])
    assert drawn.notes[0] == "2 contour plane(s) lie between slices that have nearer ones and were left out"
    assert drawn.mask.sum() == 25


def test_contours_half_way_between_slices_lose_none(tmp_path: Path) -> None:
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), k + 0.5) for k in range(1, 6)])
    assert drawn.notes == ("5 contour plane(s) lie between slices and were drawn on the nearest",)
    assert drawn.mask.sum() == 5 * 9


def test_contours_that_cross_slices_are_refused_without_the_name_of_the_structure(tmp_path: Path) -> None:
    inclined = lps(SLANTED, np.array([[1, 1, 2], [1, 8, 4], [8, 8, 6], [8, 1, 4]], float))
    write(tmp_path / "RS", {"flat": [square(3, (1.5, 1.5), 2)], "Mustermann": [inclined]})
    with pytest.raises(
        GeometryError, match=r"contours must lie in slices .* got some of structure 2 that cross"
    ) as reported:
        draw(tmp_path / "RS")
    assert "Mustermann" not in str(reported.value)


@pytest.mark.parametrize("axis", [0, 1])
def test_coronal_and_sagittal_contours_are_drawn_in_their_planes(tmp_path: Path, axis: int) -> None:
    contours = []
    for place in (3, 4):
        corners = SQUARE * (5, 3) + (6.5, 2.5)
        contours.append(lps(SLANTED, np.insert(corners, axis, place, axis=1)))
    drawn = draw_one(tmp_path, contours)
    expected = np.zeros(SLANTED.shape, bool)
    if axis == 0:
        expected[3:5, 7:12, 3:6] = True
    else:
        expected[7:12, 3:5, 3:6] = True
    np.testing.assert_array_equal(drawn.mask, expected)


@pytest.mark.parametrize("kind", ["POINT", "OPEN_PLANAR", "OPEN_NONPLANAR"])
def test_points_and_lines_have_no_area(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "RS", {"marker": [square(3, (1.5, 1.5), 2)]}, kind=kind)
    assert read_label_object(tmp_path / "RS").names == ()
    assert draw(tmp_path / "RS") == []


def test_structure_without_an_area_is_named_with_what_it_holds(tmp_path: Path) -> None:
    contours = {"line": [square(3, (1.5, 1.5), k) for k in (2, 3)], "GTV": [square(3, (1.5, 1.5), 2)], "none": []}
    dataset = write(tmp_path / "RS", {**contours, "isocentre": [square(3, (1.5, 1.5), 2)[:1]]})
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        contour.ContourGeometricType = "OPEN_PLANAR"
    del dataset.ROIContourSequence[2]  # as systems write a structure that nobody has drawn
    dataset.save_as(tmp_path / "RS")
    label = read_label_object(tmp_path / "RS")
    assert label.names == ("GTV",)
    assert label.without_area == {"line": "2 open contour(s)", "isocentre": "1 point(s)", "none": NO_CONTOUR}


def test_points_and_lines_beside_areas_are_counted(tmp_path: Path) -> None:
    kinds = ["CLOSED_PLANAR", "INTERPOLATED_PLANAR", "OPEN_PLANAR", "OPEN_NONPLANAR", "POINT", "SPLINE"]
    contours = [square(3, (1.5, 1.5), k) for k in range(1, 7)]
    dataset = write(tmp_path / "RS", {"GTV": [*contours, contours[0][:1], contours[1][:2], contours[2][:2]]})
    for contour, kind in zip(dataset.ROIContourSequence[0].ContourSequence[:6], kinds, strict=True):
        contour.ContourGeometricType = kind
    dataset.save_as(tmp_path / "RS")
    (drawn,) = draw(tmp_path / "RS")
    assert np.flatnonzero(drawn.mask.any(axis=(0, 1))).tolist() == [1, 2]
    counts = "1 contour(s) of an unknown kind, 2 contour(s) of two corners, 2 open contour(s), 2 point(s)"
    assert drawn.notes == (f"{counts} have no area and were left out",)


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "INTERPOLATED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_contours_that_cross_are_joined_unless_the_file_asks_for_an_exclusive_or(tmp_path: Path, kind: str) -> None:
    strokes = [square(6, corner, k) for k in (2, 3) for corner in ((1.5, 4.5), (1.5, 7.5))]
    drawn = draw_one(tmp_path, strokes, kind=kind)
    is_xor = kind == "CLOSEDPLANAR_XOR"
    assert drawn.mask.sum() == 2 * (2 * 18 if is_xor else 6 * 9)
    crossing = "4 contour(s) cross another one of the structure and were joined with it"
    assert drawn.notes == (() if is_xor else (crossing,))


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "INTERPOLATED_PLANAR", "", "closed_planar"])
def test_closed_contours_have_one(tmp_path: Path, kind: str) -> None:
    assert draw_one(tmp_path, [square(3, (1.5, 1.5), 2)], kind=kind).mask.sum() == 9


def test_contour_that_stands_there_twice_is_drawn_once(tmp_path: Path) -> None:
    """Else the even-odd rule would leave nothing of it."""
    drawn = draw_one(tmp_path, [square(3, (1.5, 1.5), 2)] * 2)
    assert drawn.mask.sum() == 9
    assert drawn.notes == ("1 contour(s) are copies of others and were drawn once",)


def test_contour_drawn_again_from_another_corner_is_drawn_once(tmp_path: Path) -> None:
    once = square(3, (1.5, 1.5), 2)
    drawn = draw_one(tmp_path, [once, np.roll(once, 1, axis=0), once[::-1]])
    assert drawn.mask.sum() == 9
    assert drawn.notes == ("2 contour(s) are copies of others and were drawn once",)


def test_extents_order_nested_structures_by_their_size(tmp_path: Path) -> None:
    sizes = {"GTV": 3, "PTV": 9, "CTV": 6}
    write(tmp_path / "RS", {name: [square(size, (1.5, 1.5), k) for k in (2, 3)] for name, size in sizes.items()})
    extents = {extent.name: extent for extent in label_extents(read_label_object(tmp_path / "RS"))}
    assert sorted(extents, key=lambda name: extents[name].size) == ["GTV", "CTV", "PTV"]
    voxel_mm2 = SLANTED.spacing_mm[0] * SLANTED.spacing_mm[1]
    assert extents["CTV"].size == pytest.approx(2 * 36 * voxel_mm2, rel=1e-3)
    points = np.concatenate([square(6, (1.5, 1.5), k) for k in (2, 3)])
    np.testing.assert_allclose(extents["CTV"].box, [points.min(axis=0), points.max(axis=0)], atol=1e-5)


def test_structures_come_in_stored_order_with_their_names(tmp_path: Path) -> None:
    dataset = write(tmp_path / "RS", {name: [square(n, (0.5, 0.5), 2)] for n, name in enumerate("abc", start=1)})
    dataset.StructureSetROISequence[1].ROIName = ""
    dataset.StructureSetROISequence[2].ROIName = "a"
    dataset.ROIContourSequence = dataset.ROIContourSequence[::-1]
    dataset.save_as(tmp_path / "RS")
    drawn = draw(tmp_path / "RS")
    assert [one.name for one in drawn] == ["a", "ROI 2", "a"]
    assert [one.mask.sum() for one in drawn] == [9, 4, 1]
    assert read_label_object(tmp_path / "RS").names == ("a", "ROI 2", "a")


def test_structure_without_contours_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "RS", {"empty": [], "GTV": [square(3, (1.5, 1.5), 2)], "line": [square(3, (1.5, 1.5), 2)[:2]]})
    assert read_label_object(tmp_path / "RS").names == ("GTV",)


def test_contour_without_corners_is_left_out(tmp_path: Path) -> None:
    dataset = write(tmp_path / "RS", {"GTV": [square(3, (1.5, 1.5), 2), square(3, (1.5, 1.5), 3)]})
    dataset.ROIContourSequence[0].ContourSequence[1].ContourData = None
    dataset.save_as(tmp_path / "RS")
    assert draw(tmp_path / "RS")[0].mask.sum() == 9


@pytest.mark.parametrize("data", ["1\\2\\3\\4", "1\\2\\nan\\4\\5\\6\\7\\8\\9", "1\\2\\3\\4\\5\\6\\7\\8\\1e300"])
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_corners_that_are_no_coordinates_are_refused(tmp_path: Path, data: str, syntax: str) -> None:
    dataset = write(tmp_path / "RS", {"GTV": [square(3, (1.5, 1.5), 2)]})
    dataset.ROIContourSequence[0].ContourSequence[0].ContourData = data.split("\\")
    if syntax == "implicit":
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "RS", implicit_vr=syntax == "implicit", little_endian=True)
    with pytest.raises(ScanError, match="contours must have three finite coordinates per corner"):
        read_label_object(tmp_path / "RS")


@pytest.mark.parametrize("refer", [False, True])
def test_structure_set_tells_what_it_belongs_to(tmp_path: Path, refer: bool) -> None:
    images = write_series(np.zeros(SLANTED.shape, np.int16), SLANTED, tmp_path / "images")
    contours = [square(3, (1.5, 1.5), k) for k in (2, 5)]
    write_structure_set({"GTV": contours}, images, tmp_path / "RS", refer=refer)
    label = read_label_object(tmp_path / "RS")
    assert (label.kind, label.names) == ("RTSTRUCT", ("GTV",))
    assert label.referenced_images == ({image.SOPInstanceUID for image in images} if refer else frozenset())
    assert label.referenced_series == ({images[0].SeriesInstanceUID} if refer else frozenset())
    assert label.frame_of_reference_uid == images[0].FrameOfReferenceUID
    np.testing.assert_allclose(label.planes_mm, [contour[0] for contour in contours], atol=1e-5)


def test_frame_of_reference_is_that_of_the_structures(tmp_path: Path) -> None:
    """Some systems write another one for the whole object (0020,0052)."""
    dataset = write(tmp_path / "RS", {"GTV": [square(3, (1.5, 1.5), 2)]})
    true = dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    dataset.FrameOfReferenceUID = "1.2.3.4.5"
    dataset.save_as(tmp_path / "RS")
    assert read_label_object(tmp_path / "RS").frame_of_reference_uid == true
    del dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID
    dataset.save_as(tmp_path / "RS")
    assert read_label_object(tmp_path / "RS").frame_of_reference_uid == true
    del dataset.ReferencedFrameOfReferenceSequence
    dataset.save_as(tmp_path / "RS")
    assert read_label_object(tmp_path / "RS").frame_of_reference_uid == "1.2.3.4.5"
