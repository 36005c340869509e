from __future__ import annotations

import numpy as np
import pytest
from medseg.audit.facts import ChannelFacts
from medseg.audit.image_checks import check_channels
from medseg.audit.intensity_facts import measure_channel, thinned
from medseg.manifest.modalities import modality_of

from tests.audit.dirty import Dataset, only
from tests.audit.made_up import case_of, channel_of
from tests.manifest.datasets import manifest_of

CASE = "phantom_01_0"


def checks(*channels: ChannelFacts, names: tuple[str, ...] = ("MR",), modality: str | None = None) -> list[str]:
    case = case_of("a", modality=modality)
    return [found.check for found in check_channels(case, channels, manifest_of([case], channels=names))]


def test_constant_image_is_an_error_and_nothing_else(dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.image(CASE), lambda image: image * 0 + 7)
    found = only(dataset.audit())
    assert (found.check, found.severity, found.case_id) == ("constant", "error", CASE)
    assert "got the same value 7 everywhere" in found.fact


def test_voxels_that_are_not_finite_are_an_error(dataset: Dataset) -> None:
    def edit(image: np.ndarray) -> np.ndarray:
        image = image.astype(np.float32)
        image[3, 3, 3] = np.nan
        return image

    dataset.edit_voxels(dataset.image(CASE), edit)
    assert (only(dataset.audit()).check, only(dataset.audit()).severity) == ("unreadable", "error")
    assert "finite voxels" in only(dataset.audit()).fact


def test_wrong_number_of_channels_is_an_error(dataset: Dataset) -> None:
    names = [dataset.entry(CASE)["image"]] * 2
    dataset.set(CASE, image=names)
    found = only(dataset.audit())
    assert (found.check, found.severity) == ("channels", "error")
    assert "the manifest's 1 channels, got 2" in found.fact


def test_channels_on_two_grids_are_an_error(dataset: Dataset) -> None:
    first = dataset.entry(CASE)["image"]
    dataset.edit_voxels(dataset.image("phantom_02_0"), lambda image: image)
    dataset.set(CASE, image=[first, dataset.entry("phantom_02_0")["image"]])
    assert "grid" in [found.check for found in dataset.audit().findings]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(-1024, 3000, None), (0, 4095, "without rescale"), (-160, 240, "windowed"), (0, 1, "windowed")],
)
def test_ct_without_air_is_told(low: float, high: float, words: str | None) -> None:
    case = case_of("a", modality="CT")
    found = check_channels(case, (channel_of(low, high),), manifest_of([case]))
    assert [one.check for one in found] == ([] if words is None else ["hounsfield"])
    assert all(words in one.fact for one in found if words)


def test_ct_is_known_by_its_channel_or_its_modality() -> None:
    raw = channel_of(0, 4095)
    assert checks(raw, names=("CT",)) == ["hounsfield"]
    assert checks(raw, modality="CT") == ["hounsfield"]
    assert checks(raw, modality="MR") == []
    assert checks(raw, channel_of(0, 20), names=("a", "b"), modality="PT+CT") == ["hounsfield"]


def test_joined_modalities_are_those_of_the_channels() -> None:
    case = case_of("a", modality="CT+PT")
    assert [modality_of(case, channel) for channel in (0, 1, 2)] == ["CT", "PT", "CT"]
    assert modality_of(case_of("b"), 0) is None


def test_hot_voxel_is_a_note() -> None:
    hot = ChannelFacts(0, 1, 10, 20, 30, 50, 60, 5000)
    case = case_of("a")
    (found,) = check_channels(case, (hot,), manifest_of([case], channels=("MR",)))
    assert (found.check, found.severity) == ("hot_voxels", "note")
    assert checks(ChannelFacts(0, 1, 10, 20, 30, 50, 60, 300)) == []


def test_percentiles_of_a_large_channel_come_from_voxels_spread_over_it() -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.float32)[:, None, None], (200, 130, 110))
    assert thinned(ramp).size < 400_000
    facts = measure_channel(ramp)
    assert (facts.low, facts.high) == (0, 199)
    assert facts.p50 == pytest.approx(99.5, abs=2)


def test_small_channel_is_used_whole() -> None:
    assert thinned(np.zeros((10, 20, 30))).size == 6000
