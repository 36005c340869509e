"""Rule 2: probabilities go to the native grid and then argmax is taken; a mask lies where the network saw it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import GeometryError
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, network_grid
from medseg.preprocess.resample import resample_labels, resample_linear
from medseg.preprocess.segmentation import restore_mask
from medseg.preprocess.segmentation.restore import restore_planes

from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, OBLIQUE, grid
from tests.labels import labels_of

EXAMPLES = settings(max_examples=30, deadline=None)


def config_for(axcodes: str | None, spacing_mm: tuple[float, float, float] | None) -> PreprocessConfig:
    return PreprocessConfig(axcodes=axcodes, spacing_mm=spacing_mm, normalisation=(ChannelNormalisation(kind="none"),))


def one_hot(labels: np.ndarray, *, classes: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([labels == value for value in range(classes)]).astype(np.float32))


def smooth_probabilities(geometry: Geometry, *, classes: int = 3) -> torch.Tensor:
    logits = np.random.default_rng(0).normal(size=(classes, *geometry.shape))
    return torch.from_numpy(logits.astype(np.float32)).softmax(dim=0)


def ball(geometry: Geometry, centre_mm: np.ndarray, *, radius_mm: float) -> np.ndarray:
    voxels = np.stack(np.meshgrid(*map(np.arange, geometry.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    distance = np.linalg.norm(geometry.world_mm(voxels.astype(float)) - centre_mm, axis=1)
    return (distance < radius_mm).reshape(geometry.shape)


def centroid_mm(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    return geometry.world_mm(np.argwhere(mask).astype(float)).mean(axis=0)


@EXAMPLES
@given(
    native=grids(max_tilt=0.3),
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=st.tuples(*[st.floats(0.8, 4.0)] * 3),
    slab_bytes=st.integers(0, 4000),
)
def test_slab_by_slab_is_the_same_as_all_at_once(
    native: Geometry, axcodes: str, spacing_mm: tuple[float, float, float], slab_bytes: int
) -> None:
    network = network_grid(native, config_for(axcodes, spacing_mm))
    probabilities = smooth_probabilities(network)
    whole = restore_mask(probabilities, network, native, target=labels_of(0, 1, 2))
    slabs = restore_mask(probabilities, network, native, target=labels_of(0, 1, 2), slab_bytes=slab_bytes)
    assert whole.shape == native.shape
    # Where two classes are within rounding of each other either is right; there are next to none in random numbers.
    assert (whole != slabs).mean() < 0.01


@EXAMPLES
@given(
    data=st.data(),
    native=grids(max_tilt=0.3),
    axcodes=st.sampled_from(ALL_AXCODES),
    spacing_mm=st.tuples(*[st.floats(0.8, 4.0)] * 3),
    axis=st.integers(0, 2),
    slab_bytes=st.sampled_from([0, 300, 4000, 2**27]),
)
def test_planes_that_come_in_chunks_along_any_axis_give_the_mask_of_all_at_once(
    data: st.DataObject,
    native: Geometry,
    axcodes: str,
    spacing_mm: tuple[float, float, float],
    axis: int,
    slab_bytes: int,
) -> None:
    network = network_grid(native, config_for(axcodes, spacing_mm))
    probabilities = smooth_probabilities(network)
    cuts = sorted(data.draw(st.sets(st.integers(1, network.shape[axis]))) | {0, network.shape[axis]})
    chunks = probabilities.split([stop - start for start, stop in pairwise(cuts)], dim=axis + 1)
    found = restore_planes(chunks, network, native, target=labels_of(0, 3, 7), axis=axis, slab_bytes=slab_bytes)
    restored = resample_linear(probabilities, network, native)
    first, second = restored.topk(2, dim=0).values
    is_sure = (first - second > 5e-3).numpy()  # a part may take the nearest voxel where the whole does not
    np.testing.assert_array_equal(found[is_sure], np.array([0, 3, 7])[restored.argmax(dim=0).numpy()][is_sure])


def test_chunks_are_let_go_when_they_are_used() -> None:
    geometry = grid((40, 4, 4))
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def chunks() -> Iterator[torch.Tensor]:
        nonlocal most
        for _ in range(40):
            chunk = torch.rand(2, 1, 4, 4)
            alive.append(weakref.ref(chunk))
            most = max(most, sum(reference() is not None for reference in alive))
            yield chunk

    restore_planes(chunks(), geometry, geometry, target=labels_of(0, 1), axis=0, slab_bytes=4 * 3 * 2 * 4 * 4 * 4)
    assert most <= 5  # three wait, one is on its way, one is the generator's


@pytest.mark.parametrize("planes", [2, 4])
def test_chunks_that_are_not_the_grid_are_refused(planes: int) -> None:
    geometry = grid((3, 2, 2))
    with pytest.raises(ValueError, match=f"chunks must have 3 planes, got {planes}"):
        restore_planes([torch.rand(2, planes, 2, 2)], geometry, geometry, target=labels_of(0, 1), axis=0)


@EXAMPLES
@given(native=grids(max_tilt=0.3), axcodes=st.sampled_from(ALL_AXCODES))
def test_reoriented_without_respacing_comes_back_exactly(native: Geometry, axcodes: str) -> None:
    labels = np.random.default_rng(0).integers(0, 3, native.shape).astype(np.uint8)
    network = network_grid(native, config_for(axcodes, None))
    on_network = resample_labels(labels, native, network)
    restored = restore_mask(one_hot(on_network, classes=3), network, native, target=labels_of(0, 1, 2))
    np.testing.assert_array_equal(restored, labels)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SRA", "AIL"])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.5, 1.5, 3.0), (0.7, 2.0, 1.1)])
@pytest.mark.parametrize("source_axcodes", ["RAS", "PIR"])
def test_shape_keeps_its_centroid_in_millimetres(
    axcodes: str, spacing_mm: tuple[float, float, float], source_axcodes: str
) -> None:
    native = grid(
        (24, 30, 12),
        spacing_mm=(1.2, 1.0, 2.5),
        angles=(0.2, -0.1, 0.15),
        origin_mm=(-40, 10, 5),
        axcodes=source_axcodes,
    )
    centre_mm = native.world_mm(np.array([native.shape]) * 0.45)[0]
    network = network_grid(native, config_for(axcodes, spacing_mm))
    probabilities = one_hot(ball(network, centre_mm, radius_mm=8).astype(int), classes=2)
    restored = restore_mask(probabilities, network, native, target=labels_of(0, 1))
    np.testing.assert_allclose(centroid_mm(restored, native), centre_mm, atol=0.5)
    sphere_ml = 4 / 3 * np.pi * 8**3 / 1000
    assert restored.sum() * native.voxel_ml == pytest.approx(sphere_ml, rel=0.15)


def test_probabilities_are_interpolated_before_the_largest_is_chosen() -> None:
    # Class 0 is sure of itself at the left, class 1 barely wins at the right: half way 0 has (0.90 + 0.49) / 2. The
    # boundary lies at 0.98 of the way; labels interpolated first would put it half way.
    probabilities = torch.tensor([[0.90, 0.49], [0.10, 0.51]]).view(2, 2, 1, 1)
    native = grid((11, 1, 1), spacing_mm=(0.1, 1, 1))
    restored = restore_mask(probabilities, grid((2, 1, 1)), native, target=labels_of(0, 1)).ravel()
    assert restored.tolist() == [0] * 10 + [1]
    labels = probabilities.argmax(dim=0).numpy().astype(np.uint8)
    assert resample_labels(labels, grid((2, 1, 1)), native).sum() == 5


def test_third_class_wins_between_two_others() -> None:
    # Nowhere on the network's grid is class 2 the largest, but half way it is: 0.45 against 0.30 and 0.25.
    probabilities = torch.tensor([[0.55, 0.05], [0.00, 0.50], [0.45, 0.45]]).view(3, 2, 1, 1)
    native = grid((3, 1, 1), spacing_mm=(0.5, 1, 1))
    assert restore_mask(probabilities, grid((2, 1, 1)), native, target=labels_of(0, 1, 2)).ravel().tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("values", "dtype"), [((0, 7), np.uint8), ((0, 255), np.uint8), ((0, 256), np.uint16), ((1, 3), np.uint8)]
)
def test_classes_become_label_values_in_the_smallest_type(values: tuple[int, int], dtype: type) -> None:
    labels = np.random.default_rng(0).integers(0, 2, OBLIQUE.shape)
    restored = restore_mask(one_hot(labels, classes=2), OBLIQUE, OBLIQUE, target=labels_of(*values))
    assert restored.dtype == dtype
    np.testing.assert_array_equal(restored, np.array(values)[labels])


def test_voxels_beyond_the_network_grid_take_the_value_of_its_edge() -> None:
    network = grid((3, 3, 3), spacing_mm=(2, 2, 2))
    native = grid((9, 9, 9), origin_mm=(-2, -2, -2))
    assert (
        restore_mask(one_hot(np.ones(network.shape), classes=2), network, native, target=labels_of(0, 1)) == 1
    ).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_probabilities_of_any_precision_are_accepted(dtype: torch.dtype) -> None:
    labels = np.random.default_rng(0).integers(0, 2, OBLIQUE.shape)
    network = OBLIQUE.reoriented("RAS")
    on_network = resample_labels(labels.astype(np.uint8), OBLIQUE, network)
    restored = restore_mask(one_hot(on_network, classes=2).to(dtype), network, OBLIQUE, target=labels_of(0, 1))
    np.testing.assert_array_equal(restored, labels)


def test_network_grid_has_the_planned_axes_and_spacing_and_stays_oblique() -> None:
    network = network_grid(OBLIQUE, config_for("RAS", (1.0, 1.0, 2.0)))
    assert network.axcodes == "RAS"
    np.testing.assert_allclose(network.spacing_mm, (1, 1, 2))
    in_ras = OBLIQUE.reoriented("RAS")
    np.testing.assert_allclose(
        network.affine[:3, :3] / network.spacing_mm, in_ras.affine[:3, :3] / in_ras.spacing_mm, atol=1e-12
    )


def test_network_grid_without_wishes_is_the_scan_along_right_anterior_superior() -> None:
    expected = OBLIQUE.reoriented("RAS")
    assert network_grid(OBLIQUE, config_for(None, None)).distance_mm(expected) == 0


@pytest.mark.parametrize("axcodes", ["RAS", "LAS", "LPS", "ASR", "SRA", "IPL"])
def test_slice_has_one_grid_however_it_is_stored(axcodes: str) -> None:
    axial = grid((9, 8, 1), spacing_mm=(1.0, 2.0, 5.0))
    assert network_grid(axial.reoriented(axcodes), config_for(None, None)).distance_mm(axial) < 1e-9


def test_grid_of_an_absurd_size_is_refused() -> None:
    with pytest.raises(GeometryError, match="check the voxel size in the header"):
        network_grid(grid((100, 100, 100), spacing_mm=(5e3, 5e3, 5e3)), config_for("RAS", (1.0, 1.0, 1.0)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 8, 9), (8, 9, 1)), ((8, 1, 9), (8, 9, 1)), ((8, 9, 1), (8, 9, 1)), ((1, 1, 9), (1, 9, 1))],
)
def test_single_slice_is_turned_so_that_its_thin_axis_comes_last(
    shape: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    native = grid(shape, spacing_mm=(5.0, 0.5, 0.7))
    network = network_grid(native, config_for(None, None))
    assert network.shape == expected
    labels = np.random.default_rng(0).integers(0, 2, shape).astype(np.uint8)
    on_network = resample_labels(labels, native, network)
    np.testing.assert_array_equal(on_network.ravel(), labels.ravel())  # the same picture, not mirrored or transposed
    np.testing.assert_array_equal(
        restore_mask(one_hot(on_network, classes=2), network, native, target=labels_of(0, 1)), labels
    )
