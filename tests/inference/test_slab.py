"""A slab's mask is the whole scan's mask there, background elsewhere, and costs only what the slab costs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError, GeometryError
from medseg.geometry import Geometry
from medseg.inference import Slab
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.preprocess import (
    ChannelNormalisation,
    PreprocessConfig,
    box_around,
    network_grid,
    part_of,
    preprocess_scan,
)
from medseg.preprocess import scan as scan_module
from medseg.records import Scan

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES
from tests.inference.segmentation.whole import Edgy, whole_mask, whole_probabilities

CPU = torch.device("cpu")
EXAMPLES = settings(max_examples=25, deadline=None)
CardBuilder = Callable[..., ModelCard]
VALUES = np.array([0, 3, 7])

spacings = st.one_of(st.none(), st.tuples(*[st.floats(0.8, 4.0)] * 3))
preprocessings = st.builds(
    PreprocessConfig,
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=spacings,
    normalisation=st.just((ChannelNormalisation(kind="zscore"),)),
)
inferences = st.builds(
    InferenceConfig,
    patch_size=st.tuples(st.integers(2, 8), st.integers(2, 8), st.sampled_from([1, 3, 8])),
    overlap=st.sampled_from([0.0, 0.5]),
    mirror_axes=st.sampled_from([(), (), (2, 0)]),
)


def random_scan(geometry: Geometry) -> Scan:
    rng = np.random.default_rng(5)
    return Scan(rng.normal(3, 2, (1, *geometry.shape)).astype(np.float32), geometry)


@pytest.fixture(scope="module")
def build(build_card: CardBuilder) -> Callable[[PreprocessConfig, InferenceConfig], Predictor]:
    def predictor(preprocess: PreprocessConfig, inference: InferenceConfig) -> Predictor:
        dims = 2 if inference.patch_size[2] == 1 else 3
        network = build_card().network
        if dims == 2:
            network = network.model_copy(
                update={"spatial_dims": 2, "strides": ((1, 1), (2, 2)), "kernels": ((3, 3), (3, 3))}
            )
        card = build_card(preprocess=preprocess, inference=inference, network=network)
        return Predictor(Edgy(dims=dims), card, device=CPU, precision="fp32")

    return predictor


def whole_way(predictor: Predictor, scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """The mask by MONAI on the whole volume, and where it may differ by rounding."""
    image, grid, _ = preprocess_scan(scan, predictor.card.preprocess)
    classes, is_close = whole_mask(
        whole_probabilities(predictor.network, image, predictor.card.inference), grid, scan.geometry
    )
    return VALUES[classes], is_close


@EXAMPLES
@given(native=grids(max_tilt=0.3), preprocess=preprocessings, inference=inferences)
def test_mask_of_any_grid_is_that_of_the_whole_volume_at_once(
    build: Callable[..., Predictor], native: Geometry, preprocess: PreprocessConfig, inference: InferenceConfig
) -> None:
    predictor, scan = build(preprocess, inference), random_scan(native)
    found = predictor.mask(scan)
    expected, is_close = whole_way(predictor, scan)
    assert found.shape == native.shape
    np.testing.assert_array_equal(found[~is_close], expected[~is_close])
    assert is_close.mean() < 0.2 or native.shape[0] * native.shape[1] * native.shape[2] < 50


@EXAMPLES
@given(data=st.data(), native=grids(max_tilt=0.3), preprocess=preprocessings, inference=inferences)
def test_slab_is_the_whole_mask_inside_and_background_outside(
    build: Callable[..., Predictor],
    data: st.DataObject,
    native: Geometry,
    preprocess: PreprocessConfig,
    inference: InferenceConfig,
) -> None:
    predictor, scan = build(preprocess, inference), random_scan(native)
    axis = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, native.shape[axis]))
    slab = Slab(axis, start, data.draw(st.integers(start, native.shape[axis])))
    expected, is_close = whole_way(predictor, scan)
    is_outside = np.ones(native.shape, bool)
    np.moveaxis(is_outside, axis, 0)[slab.start : slab.stop] = False
    expected[is_outside] = 0
    found = predictor.mask(scan, slab=slab)
    assert found.dtype == np.uint8
    is_sure = ~is_close | is_outside
    np.testing.assert_array_equal(found[is_sure], expected[is_sure])


PLAIN = PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="zscore"),))
WINDOW = InferenceConfig(patch_size=(8, 8, 8), batch_size=1)


def test_empty_slab_is_background_without_the_network(build: Callable[..., Predictor], oblique: Geometry) -> None:
    predictor = build(PLAIN, WINDOW)
    mask = predictor.mask(random_scan(oblique), slab=Slab(1, 4, 4))
    assert mask.shape == oblique.shape
    assert mask.dtype == np.uint8
    assert not mask.any()
    assert predictor.network.shapes == []


def test_only_windows_that_touch_the_slab_are_predicted(build: Callable[..., Predictor]) -> None:
    predictor = build(PLAIN, WINDOW)
    scan = random_scan(Geometry((8, 8, 80), np.eye(4)))
    predictor.mask(scan)
    assert len(predictor.network.shapes) == 19
    predictor.network.shapes.clear()
    predictor.mask(scan, slab=Slab(2, 40, 44))
    assert len(predictor.network.shapes) == 2  # those from 36 to 44 and from 40 to 48


def test_only_what_the_windows_see_is_resampled(
    build: Callable[..., Predictor], monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []

    def spy(array: torch.Tensor, source: Geometry, target: Geometry, **choices: Any) -> torch.Tensor:
        shapes.append(target.shape)
        return resample(array, source, target, **choices)

    resample = scan_module.resample_averaged
    monkeypatch.setattr(scan_module, "resample_averaged", spy)
    build(PLAIN, WINDOW).mask(random_scan(Geometry((8, 8, 80), np.eye(4))), slab=Slab(2, 40, 44))
    assert shapes == [(8, 8, 12)]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slab_may_lie_along_any_axis_of_a_volume_smaller_than_the_window(
    build: Callable[..., Predictor], axis: int
) -> None:
    predictor = build(PLAIN, WINDOW)
    scan = random_scan(Geometry((5, 4, 6), np.eye(4)))
    expected, _ = whole_way(predictor, scan)
    found = predictor.mask(scan, slab=Slab(axis, 1, 3))
    np.testing.assert_array_equal(np.take(found, [1, 2], axis), np.take(expected, [1, 2], axis))
    assert not np.delete(found, [1, 2], axis).any()


@EXAMPLES
@given(data=st.data(), native=grids(max_tilt=0.3), preprocess=preprocessings)
def test_image_of_a_part_is_the_part_of_the_image(
    data: st.DataObject, native: Geometry, preprocess: PreprocessConfig
) -> None:
    scan = random_scan(native)
    image, grid, _ = preprocess_scan(scan, preprocess)
    axis = data.draw(st.integers(0, 2))
    start = data.draw(st.integers(0, native.shape[axis] - 1))
    extent = range(start, data.draw(st.integers(start + 1, native.shape[axis])))
    box = box_around(native.cropped(axis, extent), grid)
    expected = image[(slice(None), *(slice(wanted.start, wanted.stop) for wanted in box))]
    # Where all of a part lie within a thousandth of a voxel, resampling takes the nearest.
    part, part_grid, _ = preprocess_scan(scan, preprocess, box=box)
    torch.testing.assert_close(part, expected, atol=1e-2, rtol=0)
    assert part_grid.shape == part.shape[1:]
    assert part_grid.distance_mm(part_of(grid, box)) == 0


def test_box_lies_around_all_voxel_centres() -> None:
    grid = Geometry((10, 10, 10), np.diag([2.0, 2.0, 2.0, 1.0]))
    affine = np.diag([-1.0, 1.0, 1.0, 1.0])  # i runs backwards from 9 mm; j lies between planes; k reaches beyond
    affine[:3, 3] = (9.0, 4.5, 15.0)
    box = box_around(Geometry((4, 1, 20), affine), grid)
    assert box == (range(3, 6), range(2, 4), range(7, 10))


def test_slab_beyond_the_scan_is_refused(build: Callable[..., Predictor]) -> None:
    with pytest.raises(GeometryError, match="crop must hold at least one of the 8 voxels along axis 0, got 4 to 9"):
        build(PLAIN, WINDOW).mask(random_scan(Geometry((8, 8, 8), np.eye(4))), slab=Slab(0, 4, 9))


@pytest.mark.parametrize(("axis", "start", "stop"), [(3, 0, 1), (-1, 0, 1), (0, -1, 1), (0, 2, 1)])
def test_slab_that_is_none_is_refused(axis: int, start: int, stop: int) -> None:
    with pytest.raises(GeometryError, match="slab must have axis 0, 1 or 2"):
        Slab(axis, start, stop)


def test_wrong_number_of_channels_is_refused(build: Callable[..., Predictor]) -> None:
    scan = Scan(np.zeros((2, 8, 8, 8), np.float32), Geometry((8, 8, 8), np.eye(4)))
    with pytest.raises(ConfigError, match="one entry for each of 2 channels, got 1"):
        build(PLAIN, WINDOW).mask(scan)


def test_plan_of_a_slab_is_a_small_part_of_the_whole_plan() -> None:
    native = Geometry((64, 64, 300), np.eye(4))
    grid = network_grid(native, PLAIN)
    config = InferenceConfig(patch_size=(32, 32, 32))
    part = lay_out_windows(grid.shape, config, box=box_around(native.cropped(2, range(100, 110)), grid))
    assert part.buffer_shape == (64, 64, 10) or part.buffer_shape[part.axis] == 32
    assert len(part.seen[2]) <= 10 + 2 * 31
