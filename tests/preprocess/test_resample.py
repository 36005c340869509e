from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from medseg.errors import GeometryError
from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_averaged, resample_labels, resample_linear
from torch.nn import functional

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

EXAMPLES = settings(max_examples=30, deadline=None)


@st.composite
def parallel_pairs(draw: st.DrawFn, *, min_size: int = 1, max_shift_mm: float = 5.0) -> tuple[Geometry, Geometry]:
    """A source, and a target of other spacing, order, direction and place with parallel axes."""
    source = draw(grids(min_size=min_size))
    order = draw(st.permutations([0, 1, 2]))
    spacing = draw(st.tuples(*[st.floats(0.5, 5.0)] * 3))
    target = source.permuted(order, flips=draw(st.tuples(*[st.booleans()] * 3))).resampled(spacing)
    assume(np.prod(target.shape) < 50_000)
    affine = target.affine.copy()
    shift = st.floats(-max_shift_mm, max_shift_mm)
    affine[:3, 3] += draw(st.tuples(shift, shift, shift))
    return source, Geometry(target.shape, affine)


def voxels_of(geometry: Geometry) -> np.ndarray:
    return np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1).reshape(-1, 3).astype(float)


def noise(geometry: Geometry, *, channels: int = 1, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(channels, *geometry.shape)).astype(np.float32))


def ramp(geometry: Geometry) -> np.ndarray:
    """A linear function of the place in the patient."""
    return (geometry.world_mm(voxels_of(geometry)) @ (0.3, -0.2, 0.5) + 7).reshape(geometry.shape)


def is_inside(source: Geometry, target: Geometry) -> np.ndarray:
    """Which target voxels lie between the outermost voxel centres of the source."""
    voxels = (target.world_mm(voxels_of(target)) - source.affine[:3, 3]) @ np.linalg.inv(source.affine[:3, :3]).T
    return ((voxels > 1e-6) & (voxels < np.array(source.shape) - 1 - 1e-6)).all(axis=1).reshape(target.shape)


def itk_image(array: np.ndarray, geometry: Geometry) -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(array.T)
    affine = geometry.to_lps()
    image.SetSpacing(geometry.spacing_mm)
    image.SetDirection((affine[:3, :3] / geometry.spacing_mm).ravel())
    image.SetOrigin(affine[:3, 3])
    return image


def itk_resample(array: np.ndarray, source: Geometry, target: Geometry) -> np.ndarray:
    like = itk_image(np.zeros(target.shape, np.float32), target)
    return SimpleITK.GetArrayFromImage(
        SimpleITK.Resample(itk_image(array, source), like, SimpleITK.Transform(), SimpleITK.sitkLinear)
    ).T


@EXAMPLES
@given(pair=parallel_pairs(max_shift_mm=40.0), value=st.floats(-1e4, 1e4, width=32))
def test_constant_volume_stays_constant_up_to_and_beyond_the_edges(
    pair: tuple[Geometry, Geometry], value: float
) -> None:
    source, target = pair
    result = resample_linear(torch.full((2, *source.shape), value), source, target)
    assert result.shape == (2, *target.shape)
    assert (result == value).all()


@EXAMPLES
@given(pair=parallel_pairs(min_size=2))
def test_linear_ramp_in_millimetres_is_reproduced_inside(pair: tuple[Geometry, Geometry]) -> None:
    source, target = pair
    result = resample_linear(torch.from_numpy(ramp(source))[None], source, target)[0].numpy()
    inside = is_inside(source, target)
    # A target within 1e-3 voxel of the source's is taken as the source's own voxel.
    tolerance = 1e-3 * sum(source.spacing_mm) + 1e-9
    np.testing.assert_allclose(result[inside], ramp(target)[inside], atol=tolerance)


@EXAMPLES
@given(pair=parallel_pairs(min_size=3))
def test_result_agrees_with_simpleitk_inside_the_field_of_view(pair: tuple[Geometry, Geometry]) -> None:
    source, target = pair
    array = noise(source)
    result = resample_linear(array, source, target)[0].numpy()
    expected = itk_resample(array[0].numpy(), source, target)
    inside = is_inside(source, target)
    np.testing.assert_allclose(result[inside], expected[inside], atol=2e-2)


def test_result_agrees_with_simpleitk_to_rounding() -> None:
    target = OBLIQUE.reoriented("SRA").resampled((1.3, 0.9, 1.7))
    array = noise(OBLIQUE)
    inside = is_inside(OBLIQUE, target)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(
        resample_linear(array, OBLIQUE, target)[0].numpy()[inside],
        itk_resample(array[0].numpy(), OBLIQUE, target)[inside],
        atol=1e-5,
    )


def test_edge_value_holds_beyond_the_outermost_voxel_centres() -> None:
    array = torch.tensor([10.0, 20.0, 30.0]).view(1, 3, 1, 1)
    target = grid((7, 1, 1), origin_mm=(-2, 0, 0))
    assert resample_linear(array, grid((3, 1, 1)), target).flatten().tolist() == [10, 10, 10, 20, 30, 30, 30]


def test_half_way_between_two_voxels_is_their_mean() -> None:
    array = torch.tensor([10.0, 20.0, 40.0]).view(1, 3, 1, 1)
    target = grid((2, 1, 1), origin_mm=(0.5, 0, 0))
    assert resample_linear(array, grid((3, 1, 1)), target).flatten().tolist() == [15, 30]


@EXAMPLES
@given(geometry=grids())
def test_same_grid_gives_the_same_voxels_exactly(geometry: Geometry) -> None:
    array = noise(geometry, channels=2)
    assert torch.equal(resample_linear(array, geometry, geometry), array)


@EXAMPLES
@given(geometry=grids(), order=st.permutations([0, 1, 2]), flips=st.tuples(*[st.booleans()] * 3))
def test_turned_grid_moves_voxels_without_changing_them(
    geometry: Geometry, order: list[int], flips: tuple[bool, ...]
) -> None:
    array = noise(geometry)
    turned = geometry.permuted(order, flips=flips)
    expected = np.flip(array[0].numpy().transpose(order), [axis for axis, is_flipped in enumerate(flips) if is_flipped])
    result = resample_linear(array, geometry, turned)
    np.testing.assert_array_equal(result[0].numpy(), expected)
    assert torch.equal(resample_linear(result, turned, geometry), array)


@EXAMPLES
@given(pair=parallel_pairs(), data=st.data())
def test_some_slices_are_those_of_the_whole(pair: tuple[Geometry, Geometry], data: st.DataObject) -> None:
    source, target = pair
    start = data.draw(st.integers(0, target.shape[2] - 1))
    wanted = slice(start, data.draw(st.integers(start + 1, target.shape[2])))
    whole = resample_linear(noise(source), source, target)
    part = resample_linear(noise(source), source, target, slices=wanted)
    torch.testing.assert_close(part, whole[..., wanted], atol=5e-3, rtol=0)


def test_rotated_grid_is_refused() -> None:
    rotated = grid((7, 9, 5), angles=(0.0, 0.3, 0.0))
    with pytest.raises(GeometryError, match="grids must have parallel axes"):
        resample_linear(noise(rotated), rotated, grid((7, 9, 5)))


@EXAMPLES
@given(pair=parallel_pairs(max_shift_mm=40.0), values=st.sets(st.integers(0, 65535), min_size=1, max_size=4))
def test_labels_get_no_value_that_was_not_there(pair: tuple[Geometry, Geometry], values: set[int]) -> None:
    source, target = pair
    labels = np.random.default_rng(0).choice(np.array(sorted(values), np.uint16), size=source.shape)
    result = resample_labels(labels, source, target)
    assert result.shape == target.shape
    assert result.dtype == np.uint16
    assert set(np.unique(result)) <= values


@EXAMPLES
@given(pair=parallel_pairs(max_shift_mm=8.0), seed=st.integers(0, 9))
def test_labels_are_those_of_whole_volumes_resampled_one_by_one(pair: tuple[Geometry, Geometry], seed: int) -> None:
    source, target = pair
    rng = np.random.default_rng(seed)
    labels = np.zeros(source.shape, np.uint8)
    for value in (1, 2, 5):
        start = [int(rng.integers(size)) for size in source.shape]
        labels[tuple(slice(n, n + int(rng.integers(1, 5))) for n in start)] = value
    shares = {int(v): resample_averaged(torch.from_numpy(labels == v).float()[None], source, target)[0]
              for v in np.unique(labels)}  # fmt: skip
    result = resample_labels(labels, source, target)
    won = torch.zeros(target.shape)
    for value, share in shares.items():
        won[torch.from_numpy(result == value)] = share[torch.from_numpy(result == value)]
    largest = torch.stack(list(shares.values())).amax(0)
    torch.testing.assert_close(won, largest, atol=1e-4, rtol=0)


@EXAMPLES
@given(geometry=grids())
def test_labels_on_the_same_grid_are_the_same(geometry: Geometry) -> None:
    labels = np.random.default_rng(0).integers(0, 4, geometry.shape).astype(np.uint8)
    np.testing.assert_array_equal(resample_labels(labels, geometry, geometry), labels)


def test_value_between_two_labels_does_not_appear_between_them() -> None:
    labels = np.array([1, 1, 3, 3], np.uint8).reshape(4, 1, 1)
    target = grid((31, 1, 1), spacing_mm=(0.1, 1, 1))
    result = resample_labels(labels, grid((4, 1, 1)), target).ravel()
    assert result.tolist() == [1] * 15 + [result[15]] + [3] * 15
    assert result[15] in (1, 3)  # exactly half way


def test_upsampled_ball_keeps_its_volume_and_centre() -> None:
    source = grid((16, 16, 8), spacing_mm=(1.5, 1.5, 3.0))
    target = source.resampled((1.0, 1.0, 1.0))
    centre = np.array([12.0, 11.0, 10.0])
    labels = np.linalg.norm(source.world_mm(voxels_of(source)) - centre, axis=1).reshape(source.shape) < 8
    result = resample_labels(labels.astype(np.uint8), source, target)
    before = source.world_mm(np.argwhere(labels).astype(float)).mean(axis=0)
    after = target.world_mm(np.argwhere(result).astype(float)).mean(axis=0)
    np.testing.assert_allclose(after, before, atol=0.3)
    assert result.sum() * target.voxel_ml == pytest.approx(labels.sum() * source.voxel_ml, rel=0.06)


@EXAMPLES
@given(pair=parallel_pairs())
def test_averages_of_a_constant_are_the_constant(pair: tuple[Geometry, Geometry]) -> None:
    source, target = pair
    averaged = resample_averaged(torch.full((1, *source.shape), 3.7), source, target)
    assert averaged.shape == (1, *target.shape)
    torch.testing.assert_close(averaged, torch.full((1, *target.shape), 3.7))


@EXAMPLES
@given(source=grids(), share=st.floats(0.4, 1.0))
def test_averaging_is_interpolation_where_no_axis_is_coarser(source: Geometry, share: float) -> None:
    i, j, k = (size * share for size in source.spacing_mm)
    target = source.resampled((i, j, k))
    image = noise(source)
    assert torch.equal(resample_averaged(image, source, target), resample_linear(image, source, target))


@pytest.mark.parametrize(("rows", "columns"), [(8, 6), (5, 5), (16, 4)])
def test_averages_are_those_of_torch_s_antialiased_interpolation(rows: int, columns: int) -> None:
    size = (16, 12)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=(1, *size)).astype(np.float32))
    scale = (size[0] / rows, size[1] / columns)
    affine = np.diag([*scale, 1.0, 1.0])
    affine[:2, 3] = [(scale[0] - 1) / 2, (scale[1] - 1) / 2]
    source, target = Geometry((*size, 1), np.eye(4)), Geometry((rows, columns, 1), affine)
    ours = resample_averaged(image[..., None], source, target)[..., 0]
    theirs = functional.interpolate(image[None], size=(rows, columns), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_labels_on_a_coarser_grid_go_by_the_larger_part() -> None:
    source = Geometry((12, 12, 12), np.eye(4))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = 1.5
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[1:11, 1:11, 1:11] = 1
    labels[::2, ::2, ::2] = 2  # one voxel in eight, which a grid of every fourth voxel could hit or miss
    coarse = resample_labels(labels, source, Geometry((3, 3, 3), affine))
    assert coarse[1, 1, 1] == 1
    assert (coarse == 2).sum() == 0


def test_ties_go_to_the_background_and_boolean_labels_are_labels() -> None:
    labels = np.array([0, 1, 1, 0, 0, 2], bool).reshape(6, 1, 1)
    halves = grid((3, 1, 1), spacing_mm=(2, 1, 1))
    moved = Geometry(
        halves.shape, halves.affine @ np.array([[1, 0, 0, 0.25], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    )
    result = resample_labels(labels, grid((6, 1, 1)), moved).ravel()
    assert result.dtype == bool
    shares = resample_averaged(torch.from_numpy(labels).float()[None], grid((6, 1, 1)), moved).ravel()
    assert result.tolist() == (shares > 0.5 + 1e-6).tolist()
