from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation, PreprocessConfig, network_grid, preprocess_scan, transforms
from medseg.preprocess.intensities import normalisation
from medseg.records import Scan
from monai.transforms.intensity.array import NormalizeIntensity, ThresholdIntensity
from pydantic import ValidationError

from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

CT = ChannelNormalisation(kind="ct", clip_hu=(-100.0, 300.0), mean_hu=50.0, std_hu=25.0)
ZSCORE = ChannelNormalisation(kind="zscore")
NONE = ChannelNormalisation(kind="none")


def config_for(*normalisation: ChannelNormalisation, **changes: object) -> PreprocessConfig:
    return PreprocessConfig(**{"axcodes": None, "normalisation": normalisation, **changes})  # type: ignore[arg-type]


def scan_of(*channels: np.ndarray, geometry: Geometry | None = None) -> Scan:
    array = np.stack(channels).astype(np.float32)
    return Scan(array, geometry or grid((array.shape[1], array.shape[2], array.shape[3])))


def normalised(values: list[float], kind: ChannelNormalisation) -> list[float]:
    image, _, _ = preprocess_scan(scan_of(np.array(values).reshape(-1, 1, 1)), config_for(kind))
    return image.flatten().tolist()


def test_ct_is_clipped_and_scaled_by_the_given_numbers() -> None:
    # (clip(x, -100, 300) - 50) / 25
    found = normalised([-1000, -100, -99, 0, 50, 75, 299, 300, 3000], CT)
    assert found == pytest.approx([-6, -6, -5.96, -2, 0, 1, 9.96, 10, 10], abs=1e-5)


def test_zscore_is_by_the_scan_itself() -> None:
    # Mean 4, population standard deviation sqrt((9 + 1 + 1 + 9) / 4) = sqrt(5).
    assert normalised([1, 3, 5, 7], ZSCORE) == pytest.approx(np.array([-3, -1, 1, 3]) / np.sqrt(5), abs=1e-6)


def test_none_leaves_the_values() -> None:
    assert normalised([-1000, 0.5, 3000], NONE) == [-1000, 0.5, 3000]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), mean=st.floats(-500, 500), std=st.floats(0.5, 500))
def test_zscored_image_has_mean_zero_and_standard_deviation_one(seed: int, mean: float, std: float) -> None:
    values = np.random.default_rng(seed).normal(mean, std, (6, 7, 8))
    image, _, _ = preprocess_scan(scan_of(values), config_for(ZSCORE))
    assert float(image.mean()) == pytest.approx(0, abs=1e-3)
    assert float(image.std(unbiased=False)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("value", [0.0, 7.0, -1000.0])
@pytest.mark.parametrize("kind", [ZSCORE, CT, NONE])
def test_constant_image_has_no_nan(value: float, kind: ChannelNormalisation) -> None:
    found = normalised([value] * 5, kind)
    assert np.isfinite(found).all()
    if kind.kind == "zscore":
        assert found == [0.0] * 5


def test_each_channel_has_its_own_normalisation() -> None:
    values = np.array([0.0, 50.0, 100.0]).reshape(3, 1, 1)
    image, _, _ = preprocess_scan(scan_of(values, values, values), config_for(CT, ZSCORE, NONE))
    assert image[0].flatten().tolist() == pytest.approx([-2, 0, 2])
    assert image[1].flatten().tolist() == pytest.approx([-np.sqrt(1.5), 0, np.sqrt(1.5)])
    assert image[2].flatten().tolist() == [0, 50, 100]


def test_scan_itself_is_not_changed() -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32) * 500
    scan = scan_of(values)
    for kind in (CT, ZSCORE, NONE):
        preprocess_scan(scan, config_for(kind, spacing_mm=(2.0, 2.0, 2.0)))
        np.testing.assert_array_equal(scan.array[0], values)


@settings(max_examples=30, deadline=None)
@given(geometry=grids(max_tilt=0.3), spacing_mm=st.tuples(*[st.floats(0.8, 4.0)] * 3))
def test_image_and_label_lie_on_the_planned_grid(geometry: Geometry, spacing_mm: tuple[float, float, float]) -> None:
    config = config_for(NONE, axcodes="RAS", spacing_mm=spacing_mm)
    label = np.random.default_rng(0).integers(0, 3, geometry.shape).astype(np.uint8)
    image, found, moved = preprocess_scan(scan_of(label, geometry=geometry), config, label=label)
    assert moved is not None
    assert found.distance_mm(network_grid(geometry, config)) == 0
    assert image.shape[1:] == moved.shape == found.shape
    assert moved.dtype == np.uint8


def test_label_moves_with_its_image() -> None:
    label = np.random.default_rng(0).integers(0, 3, OBLIQUE.shape).astype(np.uint8)
    config = config_for(NONE, axcodes="SRA")
    image, _, moved = preprocess_scan(scan_of(label, geometry=OBLIQUE), config, label=label)
    np.testing.assert_array_equal(image[0].numpy(), moved)


def test_box_is_a_part_of_image_and_label_normalised_by_the_whole_scan() -> None:
    values = np.random.default_rng(0).integers(0, 9, OBLIQUE.shape).astype(np.uint8)
    scan, config = scan_of(values, geometry=OBLIQUE), config_for(ZSCORE, axcodes="SRA")
    image, whole, label = preprocess_scan(scan, config, label=values)
    box = (range(2, 4), range(whole.shape[1]), range(1, 2))
    part, found, part_label = preprocess_scan(scan, config, label=values, box=box)
    assert label is not None
    assert torch.equal(part, image[:, 2:4, :, 1:2])
    np.testing.assert_array_equal(part_label, label[2:4, :, 1:2])
    assert found.shape == (2, whole.shape[1], 1)
    np.testing.assert_allclose(found.world_mm(np.zeros((1, 3))), whole.world_mm(np.array([[2.0, 0, 1]])))


def test_failure_inside_a_transform_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no memory for 7 bytes")

    monkeypatch.setattr(transforms, "resample_averaged", fail)
    with pytest.raises(RuntimeError, match=r"^no memory for 7 bytes$"):
        transforms.transform_scan(scan_of(np.zeros((2, 3, 4))), config_for(NONE))


@pytest.mark.parametrize("order", ["C", "F"])
@settings(max_examples=25, deadline=None)
@given(source=grids(), seed=st.integers(0, 99), spacing_mm=st.floats(0.4, 4))
def test_one_pass_gives_what_the_monai_transforms_give(
    source: Geometry, seed: int, spacing_mm: float, order: Literal["C", "F"]
) -> None:
    values = np.random.default_rng(seed).normal(50, 100, (2, *source.shape)).astype(np.float32)
    scan = Scan(np.asarray(values, order=order), source)
    config = config_for(CT, ZSCORE, axcodes="RAS", spacing_mm=(spacing_mm, spacing_mm, 2 * spacing_mm))
    ours, theirs = preprocess_scan(scan, config), transforms.transform_scan(scan, config)
    assert ours[1].shape == theirs[1].shape
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-5)


def test_intensities_are_those_of_monai() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(50, 200, (3, 5, 6, 7)).astype(np.float32))
    found = normalisation(values, config_for(CT, ZSCORE, NONE))(values)
    clipped = ThresholdIntensity(300, above=False, cval=300)(ThresholdIntensity(-100, cval=-100)(values[:1]))
    assert torch.equal(found[:1], NormalizeIntensity(50, 25)(clipped).as_tensor())
    assert torch.equal(found[1:2], NormalizeIntensity()(values[1:2]).as_tensor())
    assert torch.equal(found[2:], values[2:])


def test_scan_without_label_has_none() -> None:
    _, _, label = preprocess_scan(scan_of(np.zeros((2, 3, 4))), config_for(NONE))
    assert label is None


@pytest.mark.parametrize("missing", ["clip_hu", "mean_hu", "std_hu"])
def test_ct_without_its_numbers_is_refused(missing: str) -> None:
    numbers = {"clip_hu": (-100, 300), "mean_hu": 50, "std_hu": 25}
    del numbers[missing]
    with pytest.raises(ValidationError, match="kind 'ct' needs clip_hu, mean_hu and std_hu"):
        ChannelNormalisation(kind="ct", **numbers)


@pytest.mark.parametrize("std_hu", [0, -1])
def test_standard_deviation_must_be_positive(std_hu: float) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        ChannelNormalisation(kind="ct", clip_hu=(0, 1), mean_hu=0, std_hu=std_hu)


@pytest.mark.parametrize("axcodes", ["ras", "RA", "RASS", "XYZ"])
def test_axis_codes_must_be_three_known_letters(axcodes: str) -> None:
    with pytest.raises(ValidationError, match="String should match pattern"):
        config_for(NONE, axcodes=axcodes)


def test_at_least_one_channel_must_be_planned() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        config_for()


@pytest.mark.parametrize(
    "seen",
    [
        lambda array: array[:, ::-1, :, ::-1],
        lambda array: array.astype(">f4"),
        lambda array: np.broadcast_to(array, array.shape),  # not to be written
        np.asfortranarray,
    ],
    ids=["reversed", "swapped bytes", "read-only", "Fortran order"],
)
@pytest.mark.parametrize("spacing_mm", [None, (3.0, 3.0, 3.0)])
def test_memory_layout_of_a_scan_changes_nothing(
    seen: Callable[[np.ndarray], np.ndarray], spacing_mm: tuple[float, float, float] | None
) -> None:
    array = seen(np.random.default_rng(0).normal(size=(2, 9, 8, 7)).astype(np.float32))
    geometry, config = grid((9, 8, 7)), config_for(ZSCORE, NONE, spacing_mm=spacing_mm)
    found, _, _ = preprocess_scan(Scan(array, geometry), config)
    expected, _, _ = preprocess_scan(Scan(np.array(array, np.float32, order="C"), geometry), config)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
