"""A decision cell by cell is the decision on interpolated values, whatever lies between the corners."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, network_grid
from medseg.preprocess.resample import resample_linear
from medseg.preprocess.segmentation import restore
from medseg.preprocess.segmentation.cell_restoring import CellRestoring, RegionRestoring
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.targets import WrittenRegions
from scipy.ndimage import gaussian_filter

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, grid
from tests.labels import labels_of

EXAMPLES = settings(max_examples=60, deadline=None)
VALUES = (0, 3, 7, 9)
KINDS = ("noise", "smooth", "one-hot", "rounded")


def grid_for(native: Geometry, axcodes: str, spacing_mm: tuple[float, float, float] | None) -> Geometry:
    config = PreprocessConfig(
        axcodes=axcodes, spacing_mm=spacing_mm, normalisation=(ChannelNormalisation(kind="none"),)
    )
    return network_grid(native, config)


def values_on(geometry: Geometry, kind: str, seed: int) -> torch.Tensor:
    noise = torch.from_numpy(np.random.default_rng(seed).normal(size=(4, *geometry.shape)).astype(np.float32))
    if kind == "smooth":
        noise = torch.from_numpy(8 * gaussian_filter(noise.numpy(), (0, 1, 1, 1)))
    values = noise.softmax(dim=0)
    if kind == "one-hot":  # equals between cells are frequent
        return torch.nn.functional.one_hot(values.argmax(dim=0), 4).permute(3, 0, 1, 2).float()
    return (8 * values).round() / 8 if kind == "rounded" else values


def cell_by_cell(
    values: torch.Tensor, network: Geometry, native: Geometry, axis: int, cuts: list[int] | None = None
) -> np.ndarray:
    work = CellRestoring(network, native, mask=np.zeros(native.shape, np.uint8), values=VALUES, axis=axis)
    for start, stop in pairwise(cuts or [0, network.shape[axis]]):
        work.add(values.narrow(axis + 1, start, stop - start))
    return work.finish()


def check_same(found: np.ndarray, values: torch.Tensor, network: Geometry, native: Geometry) -> None:
    restored = resample_linear(values.double(), network, native)
    first, second = restored.topk(2, dim=0).values
    is_sure = (first - second > 1e-5).numpy()
    expected = np.array(VALUES)[restored.argmax(dim=0).numpy()]
    np.testing.assert_array_equal(found[is_sure], expected[is_sure])
    is_winner = np.take_along_axis(restored.numpy(), np.searchsorted(VALUES, found)[None], axis=0)[0]
    assert (first.numpy() - is_winner < 1e-5).all()  # of equals, one of them


@EXAMPLES
@given(
    data=st.data(),
    native=grids(max_tilt=0.3),
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=st.one_of(st.none(), st.tuples(*[st.floats(0.5, 5.0)] * 3)),
    axis=st.integers(0, 2),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 99),
)
def test_every_orientation_spacing_and_axis_gives_the_plain_decision(
    data: st.DataObject,
    native: Geometry,
    axcodes: str,
    spacing_mm: tuple[float, float, float] | None,
    axis: int,
    kind: str,
    seed: int,
) -> None:
    network = grid_for(native, axcodes, spacing_mm)
    values = values_on(network, kind, seed)
    cuts = sorted(data.draw(st.sets(st.integers(1, network.shape[axis]))) | {0, network.shape[axis]})
    check_same(cell_by_cell(values, network, native, axis, cuts), values, network, native)


@EXAMPLES
@given(data=st.data(), native=grids(), axis=st.integers(0, 2), seed=st.integers(0, 99))
def test_part_of_a_scan_is_decided_as_within_the_whole(
    data: st.DataObject, native: Geometry, axis: int, seed: int
) -> None:
    network = grid_for(native, "RAS", (1.7, 2.3, 1.1))
    values = values_on(network, "smooth", seed)
    whole = cell_by_cell(values, network, native, axis)
    start = data.draw(st.integers(0, native.shape[axis] - 1))
    extent = range(start, data.draw(st.integers(start + 1, native.shape[axis])))
    part = cell_by_cell(values, network, native.cropped(axis, extent), axis)
    place = tuple(slice(extent.start, extent.stop) if n == axis else slice(None) for n in range(3))
    assert (part != whole[place]).mean() < 0.02  # equals within rounding may go either way


def test_average_of_mirrored_copies_is_decided_like_any_values() -> None:
    native = grid((23, 19, 17), spacing_mm=(0.9, 1.1, 2.1), angles=(0.2, -0.1, 0.15), axcodes="PIR")
    network = grid_for(native, "RAS", (1.9, 1.6, 1.3))
    values = torch.stack([values_on(network, "noise", seed) for seed in range(3)]).mean(dim=0)
    check_same(cell_by_cell(values, network, native, 1), values, network, native)


def test_third_class_wins_inside_a_cell_whose_corners_it_loses() -> None:
    # Half way between the corners class 2 is the largest: 0.45 against 0.30 and 0.25.
    values = torch.tensor([[0.55, 0.05], [0.00, 0.50], [0.45, 0.45], [0.0, 0.0]]).view(4, 2, 1, 1)
    native = grid((3, 1, 1), spacing_mm=(0.5, 1, 1))
    assert cell_by_cell(values, grid((2, 1, 1)), native, 0).ravel().tolist() == [0, 7, 3]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_first_of_equals_wins(axis: int) -> None:
    network, native = grid((3, 3, 3), spacing_mm=(2, 2, 2)), grid((6, 6, 6))
    assert (cell_by_cell(torch.full((4, 3, 3, 3), 0.25), network, native, axis) == 0).all()


def test_many_values_are_decided_by_cells_with_the_mask_of_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    native = grid((64, 60, 50), spacing_mm=(0.8, 0.9, 1.5), angles=(0.2, -0.1, 0.15), axcodes="LIA")
    network = grid_for(native, "RAS", (2.0, 2.0, 2.0))
    values, target = values_on(network, "smooth", 0), labels_of(*VALUES)
    by_slabs = restore_planes([values], network, native, target=target, axis=2)
    monkeypatch.setattr(restore, "_MANY_VALUES", 1)
    monkeypatch.setattr(restore, "SlabRestoring", None)
    by_cells = restore_planes([values], network, native, target=target, axis=2)
    assert by_cells.dtype == by_slabs.dtype
    assert (by_cells != by_slabs).mean() < 1e-5


@EXAMPLES
@given(
    native=grids(max_tilt=0.3),
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=st.tuples(*[st.floats(0.5, 5.0)] * 3),
    axis=st.integers(0, 2),
    kind=st.sampled_from(KINDS),
)
def test_regions_are_decided_by_their_thresholds(
    native: Geometry, axcodes: str, spacing_mm: tuple[float, float, float], axis: int, kind: str
) -> None:
    target = WrittenRegions(
        labels={"background": 0, "edema": 1, "core": 2, "rim": 5},
        regions=((1, 2, 5), (2, 5), (5,), (1,)),
        order=(1, 2, 5, 1),
    )
    network = grid_for(native, axcodes, spacing_mm)
    values = 2 * values_on(network, kind, 0)
    work = RegionRestoring(network, native, target=target, axis=axis)
    work.add(values)
    restored = resample_linear(values, network, native)
    is_sure = ((restored - 0.5).abs() > 1e-5).all(dim=0).numpy()
    np.testing.assert_array_equal(work.finish()[is_sure], target.decide(restored)[is_sure])


def test_values_that_are_no_numbers_choose_one_of_the_channels() -> None:
    values = torch.tensor([[0, 0, np.nan, 0], [1, 0, np.nan, 0], [0, 1, np.nan, 0], [0, 0, np.nan, 1]])
    native = grid((1, 1, 7), spacing_mm=(1, 1, 0.5))
    found = cell_by_cell(values.view(4, 1, 1, 4).float(), grid((1, 1, 4)), native, 0).ravel()
    assert found[:2].tolist() == [3, 3]
    assert set(found[2:4]) <= set(VALUES)
    assert found[4:6].tolist() == [0, 0]  # the first channel, as torch's argmax
    assert found[6] in VALUES


def test_regions_are_held_for_a_few_slices_only() -> None:
    network = grid((10, 10, 20), spacing_mm=(10, 10, 5))
    native = grid((100, 100, 100), spacing_mm=(1, 1, 1))
    target = WrittenRegions(labels={"background": 0, "lesion": 1}, regions=((1,),) * 24, order=(1,) * 24)
    values = torch.rand(24, *network.shape, generator=torch.Generator().manual_seed(0))
    for _ in range(2):  # the loops are compiled in the first round
        tracemalloc.start()
        work = RegionRestoring(network, native, target=target, axis=2)
        for chunk in values.split(1, dim=3):
            work.add(chunk)
        mask = work.finish()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert mask.shape == native.shape
    assert peak < 24 * mask.size / 2  # a byte for each channel and voxel of the scan would be twice as much


def test_no_thread_is_left_where_the_planes_end_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    network, native = grid((6, 6, 6), spacing_mm=(2, 2, 2)), grid((12, 12, 12))
    values = values_on(network, "smooth", 0)

    def planes() -> Iterator[torch.Tensor]:
        yield values[..., :3]
        raise KeyboardInterrupt

    monkeypatch.setattr(restore, "_MANY_VALUES", 1)
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        restore_planes(planes(), network, native, target=labels_of(*VALUES), axis=2)
    assert set(threading.enumerate()) == before


@EXAMPLES
@given(
    native=grids(max_tilt=0.3),
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=st.one_of(st.none(), st.tuples(*[st.floats(0.5, 5.0)] * 3)),
    axis=st.integers(0, 2),
    mean=st.sampled_from([0.0, 3.0, 60.0, -60.0, None]),
    spread=st.sampled_from([0.02, 1.0]),
    seed=st.integers(0, 99),
)
def test_logits_in_half_precision_are_rounded_before_they_are_compared(
    native: Geometry,
    axcodes: str,
    spacing_mm: tuple[float, float, float] | None,
    axis: int,
    mean: float | None,
    spread: float,
    seed: int,
) -> None:
    network, rng = grid_for(native, axcodes, spacing_mm), np.random.default_rng(seed)
    halves = rng.normal(mean or 0, spread, (4, *network.shape)).astype(np.float16)
    if mean is None:  # at every voxel the last channel leads the others by the least step of a number of any size
        sizes = np.power(10, rng.uniform(-2, 3, network.shape)).astype(np.float16)
        halves = (sizes.view(np.uint16) + np.arange(4, dtype=np.uint16).reshape(4, 1, 1, 1)).view(np.float16)
    values = torch.from_numpy(halves.astype(np.float32))
    work = CellRestoring(
        network, native, mask=np.zeros(native.shape, np.uint8), values=VALUES, axis=axis, is_rounded=True
    )
    work.add(values)
    restored = resample_linear(values.double(), network, native).numpy()
    near = np.maximum(1e-6 * np.abs(restored), 1e-7)  # what single precision may lose on the way
    is_sure = ((restored - near).astype(np.float16) == (restored + near).astype(np.float16)).all(axis=0)
    expected = np.array(VALUES)[restored.astype(np.float16).argmax(axis=0)]  # NumPy takes the first of equals
    np.testing.assert_array_equal(work.finish()[is_sure], expected[is_sure])


def test_rounding_is_that_of_half_precision() -> None:
    from medseg.preprocess.segmentation.cell_kernel import _rounded

    halves = np.arange(0, 0x7BFF, 7, dtype=np.uint16).view(np.float16).astype(np.float64)
    between = (halves[:-1] + halves[1:]) / 2
    numbers = np.concatenate([halves, between, between * (1 + 1e-7), between * (1 - 1e-7)]).astype(np.float32)
    for value in np.concatenate([numbers[::3], -numbers[1::3]]):
        assert _rounded(value) == np.float32(np.float16(value))
