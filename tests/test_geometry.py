from __future__ import annotations

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from medseg.errors import GeometryError
from medseg.geometry import Geometry

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, OBLIQUE, grid

EXAMPLES = settings(max_examples=40, deadline=None)
TARGET_SPACINGS = st.tuples(*[st.floats(0.4, 5.0)] * 3)


def centre_mm(geometry: Geometry) -> np.ndarray:
    return geometry.world_mm((np.array([geometry.shape], dtype=float) - 1) / 2)[0]


def numbered(geometry: Geometry) -> np.ndarray:
    return np.arange(np.prod(geometry.shape)).reshape(geometry.shape)


@EXAMPLES
@given(geometry=grids())
def test_world_of_voxels_equals_nibabel(geometry: Geometry) -> None:
    voxels = np.array([[0, 0, 0], [1, 2, 3], [-4, 0.5, 7]], dtype=float)
    expected = nibabel.affines.apply_affine(geometry.affine, voxels)
    np.testing.assert_allclose(geometry.world_mm(voxels), expected, atol=1e-9)


@EXAMPLES
@given(geometry=grids())
def test_spacing_equals_nibabel_voxel_sizes(geometry: Geometry) -> None:
    np.testing.assert_allclose(geometry.spacing_mm, nibabel.affines.voxel_sizes(geometry.affine), rtol=1e-12)
    assert geometry.voxel_ml == pytest.approx(np.prod(geometry.spacing_mm) / 1000, rel=1e-9)


@EXAMPLES
@given(geometry=grids())
def test_axcodes_equal_nibabel_where_every_axis_has_a_nearest_direction(geometry: Geometry) -> None:
    cosines = np.abs(geometry.affine[:3, :3] / geometry.spacing_mm)
    assume(cosines.max(axis=0).min() > np.sqrt(0.5) + 1e-3)
    assert geometry.axcodes == "".join(nibabel.aff2axcodes(geometry.affine))


@EXAMPLES
@given(geometry=grids(max_tilt=0.3), axcodes=st.sampled_from(ALL_AXCODES))
def test_reoriented_equals_nibabel_reorientation(geometry: Geometry, axcodes: str) -> None:
    image = nibabel.Nifti1Image(numbered(geometry).astype(np.int32), geometry.affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(geometry.affine), nibabel.orientations.axcodes2ornt(axcodes)
    )
    expected = image.as_reoriented(turn)
    found = geometry.reoriented(axcodes)
    assert found.shape == expected.shape
    assert found.axcodes == axcodes
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-9)


@EXAMPLES
@given(geometry=grids(max_tilt=0.3), axcodes=st.sampled_from(ALL_AXCODES))
def test_reoriented_there_and_back_is_the_same_grid(geometry: Geometry, axcodes: str) -> None:
    back = geometry.reoriented(axcodes).reoriented(geometry.axcodes)
    assert back.shape == geometry.shape
    assert back.distance_mm(geometry) < 1e-9


@EXAMPLES
@given(data=st.data(), geometry=grids(), axis=st.integers(0, 2))
def test_cropped_voxels_keep_their_millimetres(data: st.DataObject, geometry: Geometry, axis: int) -> None:
    start = data.draw(st.integers(0, geometry.shape[axis] - 1))
    extent = range(start, data.draw(st.integers(start + 1, geometry.shape[axis])))
    cropped = geometry.cropped(axis, extent)
    kept = np.take(numbered(geometry), extent, axis)
    assert cropped.shape == kept.shape
    for new in (np.zeros((1, 3)), np.array([cropped.shape]) - 1.0):
        old = np.argwhere(numbered(geometry) == kept[tuple(new[0].astype(int))]).astype(float)
        np.testing.assert_allclose(cropped.world_mm(new), geometry.world_mm(old), atol=1e-9)


@pytest.mark.parametrize(("start", "stop"), [(2, 2), (-1, 2), (3, 6), (4, 1)])
def test_crop_of_nothing_or_beyond_the_grid_is_refused(start: int, stop: int) -> None:
    with pytest.raises(GeometryError, match="crop must hold at least one of the 5 voxels along axis 2"):
        OBLIQUE.cropped(2, range(start, stop))


@EXAMPLES
@given(geometry=grids(), order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.booleans()] * 3))
def test_permuted_voxels_keep_their_millimetres(geometry: Geometry, order: list[int], flips: tuple[bool, ...]) -> None:
    permuted = geometry.permuted(order, flips=flips)
    moved = np.flip(
        numbered(geometry).transpose(order), axis=[axis for axis, is_flipped in enumerate(flips) if is_flipped]
    )
    assert permuted.shape == moved.shape
    for number in (0, moved.size // 2, moved.size - 1):
        old = np.argwhere(numbered(geometry) == number).astype(float)
        new = np.argwhere(moved == number).astype(float)
        np.testing.assert_allclose(permuted.world_mm(new), geometry.world_mm(old), atol=1e-9)


@EXAMPLES
@given(geometry=grids(), spacing_mm=TARGET_SPACINGS)
def test_resampled_keeps_centre_axes_and_has_the_wanted_spacing(
    geometry: Geometry, spacing_mm: tuple[float, float, float]
) -> None:
    assume(np.abs(np.array(spacing_mm) / geometry.spacing_mm - 1).min() > 1e-3)
    resampled = geometry.resampled(spacing_mm)
    np.testing.assert_allclose(resampled.spacing_mm, spacing_mm, rtol=1e-9)
    np.testing.assert_allclose(centre_mm(resampled), centre_mm(geometry), atol=1e-8)
    directions = [g.affine[:3, :3] / g.spacing_mm for g in (geometry, resampled)]
    np.testing.assert_allclose(directions[0], directions[1], atol=1e-9)


@EXAMPLES
@given(geometry=grids(), spacing_mm=TARGET_SPACINGS)
def test_resampled_extent_is_off_by_at_most_half_a_voxel(
    geometry: Geometry, spacing_mm: tuple[float, float, float]
) -> None:
    resampled = geometry.resampled(spacing_mm)
    old_mm = np.array(geometry.shape) * geometry.spacing_mm
    new_mm = np.array(resampled.shape) * resampled.spacing_mm
    is_single = np.array(resampled.shape) == 1
    assert (np.abs(new_mm - old_mm)[~is_single] <= np.array(resampled.spacing_mm)[~is_single] / 2 * 1.0001).all()


def test_resampled_to_half_the_spacing_has_twice_the_voxels() -> None:
    resampled = grid((4, 5, 6), spacing_mm=(1, 2, 3)).resampled((0.5, 1.0, 1.5))
    assert resampled.shape == (8, 10, 12)
    # Extents agree: the first new voxel's centre lies a quarter of an old voxel before the old one's.
    np.testing.assert_allclose(resampled.affine[:3, 3], (-0.25, -0.5, -0.75))


def test_resampled_number_of_voxels_is_rounded_half_up() -> None:
    assert grid((5, 5, 5)).resampled((2.0, 3.4, 100.0)).shape == (3, 1, 1)


def test_resampled_to_its_own_spacing_is_the_same_grid() -> None:
    assert OBLIQUE.resampled(OBLIQUE.spacing_mm).distance_mm(OBLIQUE) < 1e-9


@EXAMPLES
@given(geometry=grids())
def test_to_lps_negates_the_first_two_world_axes(geometry: Geometry) -> None:
    np.testing.assert_array_equal(geometry.to_lps(), geometry.affine * np.array([[-1], [-1], [1], [1]]))


@EXAMPLES
@given(geometry=grids(min_size=2), direction=st.tuples(*[st.floats(-1, 1)] * 3), shift_mm=st.floats(1e-4, 50))
def test_shifted_grid_is_as_far_away_as_the_shift(
    geometry: Geometry, direction: tuple[float, float, float], shift_mm: float
) -> None:
    length = np.linalg.norm(direction)
    assume(length > 0.1)
    affine = geometry.affine.copy()
    affine[:3, 3] += np.array(direction) / length * shift_mm
    shifted = Geometry(geometry.shape, affine)
    assert shifted.distance_mm(geometry) == pytest.approx(shift_mm, rel=1e-6)
    assert shifted.is_close(geometry, tolerance_mm=shift_mm * 1.001)
    assert not shifted.is_close(geometry, tolerance_mm=shift_mm * 0.999)


def test_spacing_error_adds_up_to_the_far_corner() -> None:
    near = grid((101, 2, 2), spacing_mm=(1.0, 1.0, 1.0))
    far = grid((101, 2, 2), spacing_mm=(1.001, 1.0, 1.0))
    assert far.distance_mm(near) == pytest.approx(0.1)
    assert not far.is_close(near)


def test_grids_of_other_shape_are_infinitely_far_apart() -> None:
    assert grid((3, 4, 5)).distance_mm(grid((3, 4, 6))) == float("inf")
    assert not grid((3, 4, 5)).is_close(grid((3, 4, 6)), tolerance_mm=1e9)


def test_difference_names_both_shapes() -> None:
    assert grid((3, 4, 5)).difference(grid((3, 4, 6))) == "shape (3, 4, 5) against (3, 4, 6)"


def test_difference_says_by_how_many_millimetres_and_which_axes() -> None:
    text = grid((3, 3, 3)).difference(grid((3, 3, 3), axcodes="LAS", spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0, 3, 0)))
    assert "corners up to 3.61 mm apart" in text  # 2 mm along the flipped axis, 3 mm by the origin
    assert "axes RAS against LAS" in text
    assert "spacing (1.0, 1.0, 1.0) mm" in text


@pytest.mark.parametrize("row", range(4))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_affine_that_is_not_finite_is_refused(row: int, value: float) -> None:
    affine = np.eye(4)
    affine[row, 3 - row] = value
    with pytest.raises(GeometryError, match="affine must be a finite 4×4 matrix"):
        Geometry((2, 2, 2), affine)


def test_affine_of_three_rows_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"finite 4×4 matrix, got shape \(3, 4\)"):
        Geometry((2, 2, 2), np.eye(4)[:3])


@EXAMPLES
@given(geometry=grids(), axis=st.integers(0, 2))
def test_affine_with_an_axis_of_no_length_is_refused(geometry: Geometry, axis: int) -> None:
    affine = geometry.affine.copy()
    affine[:3, axis] = 0
    with pytest.raises(GeometryError, match="voxel size must be positive"):
        Geometry(geometry.shape, affine)


@pytest.mark.parametrize("size", [1e-9, float(np.float32(1e-9)), 0.99999999e-9])
def test_smallest_voxel_is_taken_in_spite_of_rounding(size: float) -> None:
    assert min(Geometry((2, 2, 2), np.diag([size, 1, 1, 1])).spacing_mm) == pytest.approx(size)


def test_smaller_voxel_is_refused_with_the_limit() -> None:
    with pytest.raises(GeometryError, match=r"voxel size must be at least 1e-09 mm, got \(5e-10, 1"):
        Geometry((2, 2, 2), np.diag([5e-10, 1, 1, 1]))


@EXAMPLES
@given(geometry=grids(), axis=st.integers(0, 2), share=st.floats(0.01, 1.0))
def test_sheared_and_singular_affines_are_refused(geometry: Geometry, axis: int, share: float) -> None:
    affine = geometry.affine.copy()
    other = (axis + 1) % 3
    unit = affine[:3, axis] / np.linalg.norm(affine[:3, axis])
    length = np.linalg.norm(affine[:3, other])
    affine[:3, other] = (1 - share) * affine[:3, other] + share * length * unit  # share 1: parallel, hence singular
    with pytest.raises(GeometryError, match="voxel axes must be perpendicular, got a shear of"):
        Geometry(geometry.shape, affine)


def test_rounding_of_a_header_is_not_a_shear() -> None:
    assert Geometry(OBLIQUE.shape, OBLIQUE.affine.astype(np.float32)).is_close(OBLIQUE)


@pytest.mark.parametrize("shape", [(0, 2, 2), (2, 2), (2, 2, 2, 2), (2, -1, 2)])
def test_shape_that_is_not_three_positive_sizes_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(GeometryError, match="grid shape must be three positive sizes"):
        Geometry(shape, np.eye(4))  # type: ignore[arg-type]


def test_affine_cannot_be_changed_afterwards() -> None:
    affine = np.eye(4)
    geometry = Geometry((2, 2, 2), affine)
    affine[0, 0] = 5
    assert geometry.spacing_mm == (1, 1, 1)
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 5


@pytest.mark.parametrize("axcodes", ["RAR", "RA", "RASS", "RLS"])
def test_axis_codes_that_do_not_name_each_axis_once_are_refused(axcodes: str) -> None:
    with pytest.raises(GeometryError, match="axis codes must name each of R/L, A/P and S/I once"):
        OBLIQUE.reoriented(axcodes)


def test_unknown_axis_code_is_refused() -> None:
    with pytest.raises(GeometryError, match="axis code must be one of R L A P S I, got 'X'"):
        OBLIQUE.reoriented("RAX")


@EXAMPLES
@given(
    geometry=grids(),
    order=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    spacing_mm=TARGET_SPACINGS,
)
def test_axis_maps_lead_to_the_same_millimetres(
    geometry: Geometry, order: list[int], flips: tuple[bool, ...], spacing_mm: tuple[float, float, float]
) -> None:
    target = geometry.permuted(order, flips=flips).resampled(spacing_mm)
    target_voxel = np.array([2.0, -1.0, 3.0])
    source_voxel = np.full(3, np.nan)
    for axis_map, index in zip(target.axis_maps(geometry), target_voxel, strict=True):
        source_voxel[axis_map.source_axis] = axis_map.offset + axis_map.scale * index
    np.testing.assert_allclose(geometry.world_mm(source_voxel[None]), target.world_mm(target_voxel[None]), atol=1e-7)


@EXAMPLES
@given(geometry=grids(min_size=6), angle=st.floats(0.05, 0.7), axis=st.integers(0, 2))
def test_axis_maps_refuse_a_rotated_grid(geometry: Geometry, angle: float, axis: int) -> None:
    angles = [0.0, 0.0, 0.0]
    angles[axis] = angle
    turn = grid((1, 1, 1), angles=(angles[0], angles[1], angles[2])).affine
    rotated = Geometry(geometry.shape, turn @ geometry.affine)
    with pytest.raises(GeometryError, match="grids must have parallel axes"):
        rotated.axis_maps(geometry)


def test_axis_maps_refuse_a_grid_turned_by_45_degrees() -> None:
    with pytest.raises(GeometryError, match="grids must have parallel axes"):
        grid((1, 1, 1), angles=(0.0, 0.0, np.pi / 4)).axis_maps(grid((1, 1, 1)))
