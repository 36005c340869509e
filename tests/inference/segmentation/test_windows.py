"""Windows lie where MONAI lays them, and a plane is finished when no later window touches it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.inference.segmentation import InferenceConfig
from medseg.inference.segmentation.windows import WindowLayout, axis_starts, lay_out_windows

from tests.inference.segmentation.test_sliding import boxes, configs, shapes

EXAMPLES = settings(max_examples=60, deadline=None)


@pytest.mark.parametrize(
    ("size", "patch", "overlap", "expected"),
    [
        (10, 4, 0.5, [0, 2, 4, 6]),
        (9, 4, 0.5, [0, 2, 4, 5]),  # the last one is moved back into the image
        (9, 4, 0.0, [0, 4, 5]),
        (4, 4, 0.5, [0]),
        (3, 8, 0.5, [-2]),  # 5 voxels of padding: 2 before, 3 behind
        (3, 2, 0.9, [0, 1]),
    ],
)
def test_windows_along_an_axis(size: int, patch: int, overlap: float, expected: list[int]) -> None:
    assert axis_starts(size, patch, overlap) == expected


@pytest.mark.parametrize(("size", "expected"), [(9, {0, 1, 3, 5}), (3, {-1})])
def test_windows_of_a_flipped_copy_are_mirrored(size: int, expected: set[int]) -> None:
    layout = lay_out_windows((size, 4, 4), InferenceConfig(patch_size=(4, 4, 4), mirror_axes=(0,)))
    starts = {start[0] for visit in layout.visits for start in visit.starts if layout.copies[visit.copy] == (0,)}
    assert starts == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((32, 32, 32), (32, 32, 32)),
        ((20, 32, 32), (32, 32, 32)),  # 24 would save a quarter
        ((16, 32, 32), (16, 32, 32)),
        ((20, 20, 32), (32, 32, 32)),
        ((4, 20, 20), (16, 24, 24)),  # never below half of the window, along each axis
    ],
)
def test_fast_windows_are_cut_only_where_that_halves_them(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    config = InferenceConfig(patch_size=(32, 32, 32)).faster()
    assert config.for_image(shape, multiple=(8, 8, 8)).patch_size == expected
    assert InferenceConfig(patch_size=(32, 32, 32)).for_image(shape, multiple=(8, 8, 8)).patch_size == (32, 32, 32)


def windows_of(layout: WindowLayout) -> list[tuple[int, int]]:
    return [
        (start[layout.axis], mark)
        for visit in layout.visits
        for start, mark in zip(visit.starts, visit.finished, strict=True)
    ]


@EXAMPLES
@given(data=st.data(), shape=shapes, config=configs, axis=st.sampled_from([None, 0, 1, 2]))
def test_planes_are_finished_as_soon_as_no_later_window_touches_them(
    data: st.DataObject, shape: tuple[int, int, int], config: InferenceConfig, axis: int | None
) -> None:
    layout = lay_out_windows(shape, config, box=data.draw(boxes(shape)), axis=axis)
    planes, windows = layout.box[layout.axis], windows_of(layout)
    before = planes.start
    for number, (start, mark) in enumerate(windows):
        later = [begin for begin, _ in windows[number + 1 :]]
        assert mark == min(max([planes.start, min(later)]) if later else planes.stop, planes.stop)
        end = min(start + layout.patch_size[layout.axis], planes.stop)
        assert end - before <= layout.depth  # what is added never meets what is not yet taken
        before = mark
    assert before == planes.stop


@EXAMPLES
@given(data=st.data(), shape=shapes, config=configs)
def test_exactly_the_windows_that_touch_the_box_are_visited(
    data: st.DataObject, shape: tuple[int, int, int], config: InferenceConfig
) -> None:
    box = data.draw(boxes(shape))

    def windows(layout: WindowLayout) -> list[tuple[int, tuple[int, int, int]]]:
        return sorted((visit.copy, start) for visit in layout.visits for start in visit.starts)

    def touches(start: tuple[int, int, int]) -> bool:
        ends = zip(start, config.patch_size, box, strict=True)
        return all(set(range(first, first + size)) & set(extent) for first, size, extent in ends)

    found = lay_out_windows(shape, config, box=box)
    expected = [(copy, start) for copy, start in windows(lay_out_windows(shape, config)) if touches(start)]
    assert windows(found) == expected
    for axis in range(3):
        voxels = {voxel for _, start in expected for voxel in range(start[axis], start[axis] + config.patch_size[axis])}
        assert set(found.seen[axis]) == voxels & set(range(shape[axis]))


@pytest.mark.parametrize(
    ("shape", "patch", "axis"),
    [
        ((20, 20, 90), (16, 16, 16), 2),
        ((90, 20, 20), (16, 16, 16), 0),
        ((20, 90, 20), (16, 16, 16), 1),
        ((64, 64, 30), (32, 32, 1), 2),  # a 2D network goes from slice to slice
        ((50, 50, 50), (32, 16, 32), 1),
    ],
)
def test_streaming_axis_leaves_the_least_unfinished(
    shape: tuple[int, int, int], patch: tuple[int, int, int], axis: int
) -> None:
    config = InferenceConfig(patch_size=patch)
    layout = lay_out_windows(shape, config)
    assert layout.axis == axis
    assert layout.depth == patch[axis]
    assert layout.buffer_shape[axis] == patch[axis]


def test_sums_of_one_copy_are_as_deep_as_the_window_whatever_the_batch() -> None:
    config = InferenceConfig(patch_size=(4, 4, 4), batch_size=8)
    assert lay_out_windows((4, 4, 100), config).depth == 4
