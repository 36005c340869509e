"""`predict_cases` with a classifier beside the network: what is segmented, what is recorded, what fails alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError, ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput
from medseg.inference.classification import Calibration, Gate, SliceReviewer
from medseg.inference.record import load_record
from medseg.inference.reviewer import Review
from medseg.inference.segmentation import ModelCard, Predictor, predict_cases
from medseg.preprocess.classification import SliceConfig
from medseg.records import Array, Scan
from medseg.scans import read_label, write_scan
from medseg.targets import ExclusiveLabels, SliceClasses
from torch import Tensor, nn

from tests.grids import grid
from tests.inference.classification.knowing import CPU, Knowing, card_of, knowing_predictor
from tests.preprocess.classification.scans import NONE

CardBuilder = Callable[..., ModelCard]
GATE = Gate(0.95, 0.5, 0.0)
# In the model's labels the spleen is class 1 and the liver class 2; the classifier lists them the same way.
SPLEEN_LIVER = SliceClasses(classes=("spleen", "liver"))


class Steps(nn.Module):
    """Knows the answer: the class of a voxel is its intensity, rounded."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-20 * (x[:, -1:] - value).abs() for value in range(3)], dim=1)


class Blind(nn.Module):
    """Draws nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.ones_like(x), -torch.ones_like(x), -torch.ones_like(x)], dim=1)


def blocks(geometry: Geometry) -> Array:
    """Spleen on axial slices 3 and 4, counted from the feet, and liver on slices 6 and 7; of ten."""
    array = np.zeros((9, 10, 10), np.float32)
    array[1:5, 2:6, 3:5] = 1
    array[5:8, 6:9, 6:8] = 2
    plain = grid((9, 10, 10))
    maps = geometry.axis_maps(plain)
    steps = tuple(slice(None, None, -1 if axis_map.scale < 0 else 1) for axis_map in maps)
    return array.transpose([axis_map.source_axis for axis_map in maps])[steps]


def classifier_card(**changes: Any) -> Any:
    config = SliceConfig(pixel_mm=1.0, size=(16, 16), normalisation=(NONE,))
    return card_of(**{"targets": SPLEEN_LIVER, "slices": config} | changes)


def reviewer_of(card: ModelCard, *, gate: Gate | None = GATE, network: nn.Module | None = None) -> SliceReviewer:
    return SliceReviewer(knowing_predictor(classifier_card(), network), target=card.target, gate=gate)


def write(folder: Path, name: str, array: Array, geometry: Geometry) -> CaseInput:
    path = folder / "in" / f"{name}.nii.gz"
    write_scan(array[None], geometry, path)
    return CaseInput(name, (path,))


@pytest.mark.parametrize(
    ("axcodes", "axis", "start", "stop"),
    [("RAS", 2, 2, 9), ("LPI", 2, 1, 8), ("SAR", 0, 2, 9), ("IPL", 0, 1, 8), ("LSP", 1, 2, 9), ("AIR", 1, 1, 8)],
)
def test_slab_and_mask_lie_in_the_scan_s_own_order(
    build_card: CardBuilder, tmp_path: Path, axcodes: str, axis: int, start: int, stop: int
) -> None:
    card = build_card()
    geometry = grid((9, 10, 10), axcodes=axcodes)
    array = blocks(geometry)
    predictor = Predictor(Steps(), card, device=CPU, precision="fp32")
    inputs = [write(tmp_path, "a", array, geometry)]
    (prediction,), failures = predict_cases(predictor, inputs, tmp_path / "out", reviewer=reviewer_of(card))
    assert failures == []
    mask, _ = read_label(prediction.mask_path, case_id="a")
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[array.astype(int)])
    record = load_record(tmp_path / "out")
    assert record is not None
    (case,) = record.cases
    assert case.gate is not None
    assert (case.gate.axis, case.gate.start, case.gate.stop, case.gate.slices) == (axis, start, stop, 10)
    assert (case.gate.sensitivity, case.gate.threshold) == (0.95, 0.5)
    assert case.gate.seconds >= 0
    assert case.quality is not None
    assert not case.quality.is_flagged
    assert prediction.review.gate == case.gate
    assert prediction.review.quality == case.quality


def test_only_the_slab_is_segmented(build_card: CardBuilder, tmp_path: Path) -> None:
    """What the classifier does not see is not drawn, although the network would."""

    class OnlySpleen(Knowing):
        def features(self, x: Tensor) -> Tensor:
            return super().features(x) * torch.tensor([1.0, 0.0]) - torch.tensor([0.0, 8.0])

    card, geometry = build_card(), grid((9, 10, 10))
    predictor = Predictor(Steps(), card, device=CPU, precision="fp32")
    reviewer = reviewer_of(card, network=OnlySpleen())
    (prediction,), _ = predict_cases(
        predictor, [write(tmp_path, "a", blocks(geometry), geometry)], tmp_path / "out", reviewer=reviewer
    )
    mask, _ = read_label(prediction.mask_path, case_id="a")
    assert np.flatnonzero(mask.any(axis=(0, 1))).tolist() == [3, 4]
    assert prediction.volume_ml["liver"] == 0


def test_empty_scan_gives_an_empty_slab_and_a_mask_of_background(build_card: CardBuilder, tmp_path: Path) -> None:
    class Never(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("an empty slab needs no network")

    card, geometry = build_card(), grid((9, 10, 10), axcodes="LPI")
    predictor = Predictor(Never(), card, device=CPU, precision="fp32")
    inputs = [write(tmp_path, "a", np.zeros(geometry.shape, np.float32), geometry)]
    (prediction,), failures = predict_cases(predictor, inputs, tmp_path / "out", reviewer=reviewer_of(card))
    assert failures == []
    mask, found = read_label(prediction.mask_path, case_id="a")
    assert mask.shape == geometry.shape
    assert found.is_close(geometry)
    assert not mask.any()
    assert prediction.volume_ml == {"spleen": 0, "liver": 0}
    assert prediction.review.gate.start == prediction.review.gate.stop
    assert not prediction.review.quality.is_flagged


def test_failing_network_is_flagged_in_the_record(build_card: CardBuilder, tmp_path: Path) -> None:
    card, geometry = build_card(), grid((9, 10, 10))
    predictor = Predictor(Blind(), card, device=CPU, precision="fp32")
    inputs = [write(tmp_path, "a", blocks(geometry), geometry)]
    predict_cases(predictor, inputs, tmp_path / "out", reviewer=reviewer_of(card, gate=None))
    record = load_record(tmp_path / "out")
    assert record is not None
    (case,) = record.cases
    assert case.gate is None
    assert case.quality is not None
    assert case.quality.is_flagged
    assert case.quality.longest_run == 2
    assert case.quality.reason is not None
    assert case.quality.reason.startswith("slice 3 along axis 2: spleen is not drawn")


def test_case_that_the_classifier_fails_on_is_recorded_and_the_others_go_on(
    build_card: CardBuilder, tmp_path: Path
) -> None:
    class Fussy(Knowing):
        def features(self, x: Tensor) -> Tensor:
            if x.max() > 5:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().features(x) * (float("nan") if x.min() < -5 else 1.0)

    card, geometry = build_card(), grid((9, 10, 10))
    predictor = Predictor(Steps(), card, device=CPU, precision="fp32")
    array = blocks(geometry)
    inputs = [
        write(tmp_path, "bright", array + 9, geometry),
        write(tmp_path, "dark", array - 9, geometry),
        write(tmp_path, "good", array, geometry),
    ]
    done: list[str] = []
    predictions, failures = predict_cases(
        predictor, inputs, tmp_path / "out", reviewer=reviewer_of(card, network=Fussy()), on_done=done.append
    )
    assert [item.case_id for item in predictions] == ["good"]
    assert [(item.case_id, item.stage) for item in failures] == [("bright", "predict"), ("dark", "predict")]
    assert done == ["bright", "dark", "good"]
    record = load_record(tmp_path / "out")
    assert record is not None
    assert "out of memory" in record.failures[0].reason
    assert "must be finite" in record.failures[1].reason
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "good.json",
        "good.nii.gz",
        "predictions.json",
    ]


def test_classifier_of_other_channels_fails_the_case_by_its_name(build_card: CardBuilder, tmp_path: Path) -> None:
    card, geometry = build_card(), grid((9, 10, 10))
    predictor = Predictor(Steps(), card, device=CPU, precision="fp32")
    two = classifier_card(
        channels=("MR", "CT"),
        slices=SliceConfig(pixel_mm=1.0, size=(16, 16), normalisation=(NONE, NONE)),
    )
    reviewer = SliceReviewer(knowing_predictor(two), target=card.target)
    _, (failure,) = predict_cases(
        predictor, [write(tmp_path, "x7", blocks(geometry), geometry)], tmp_path / "out", reviewer=reviewer
    )
    assert failure.reason.startswith("case x7: image must have the classifier's 2 channels (MR, CT), got 1")


def test_record_without_a_classifier_says_nothing_of_it(build_card: CardBuilder, tmp_path: Path) -> None:
    geometry = grid((9, 10, 10))
    predictor = Predictor(Steps(), build_card(), device=CPU, precision="fp32")
    predict_cases(predictor, [write(tmp_path, "a", blocks(geometry), geometry)], tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert record is not None
    assert (record.cases[0].gate, record.cases[0].quality) == (None, None)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 60), st.floats(0.3, 4), st.sampled_from(["RAS", "LPI", "SAR", "IPL"]), st.floats(0, 12), st.data()
)
def test_even_a_single_slice_that_shows_something_lies_in_the_slab(
    count: int, step_mm: float, axcodes: str, margin_mm: float, data: st.DataObject
) -> None:
    gate = Gate(0.95, 0.5, margin_mm)
    geometry = grid((8, 9, count), spacing_mm=(1, 1, step_mm), axcodes=axcodes)
    axis = next(n for n, code in enumerate(axcodes) if code in "SI")
    length = data.draw(st.integers(1, count))
    start = data.draw(st.integers(0, count - length))
    array = np.zeros(geometry.shape, np.float32)
    np.moveaxis(array, axis, 0)[start : start + length] = 1
    reviewer = SliceReviewer(
        knowing_predictor(classifier_card()), target=ExclusiveLabels(labels={"spleen": 3, "liver": 7}), gate=gate
    )
    slab = reviewer.screen(Scan(array[None], geometry), case_id="a").slab
    assert slab is not None
    assert slab.axis == axis
    assert slab.start <= start
    assert start + length <= slab.stop


def test_overseer_without_a_shared_label_is_refused() -> None:
    with pytest.raises(ConfigError, match="must know a label of the model"):
        SliceReviewer(knowing_predictor(), target=ExclusiveLabels(labels={"background": 0, "lung": 1}))


def test_area_of_a_voxel_is_that_on_the_classifier_s_slices(build_card: CardBuilder) -> None:
    """Coronal slices of a scan of 2 × 3 × 5 mm show pixels of 2 × 5 mm, wherever the array's axes run."""
    config = SliceConfig(plane="coronal", pixel_mm=1.0, size=(64, 64), normalisation=(NONE,))
    reviewer = SliceReviewer(knowing_predictor(classifier_card(slices=config)), target=build_card().target)
    for axcodes in ("RAS", "PSL", "SLP"):
        geometry = grid((6, 7, 8), spacing_mm=(2, 3, 5), axcodes=axcodes)
        scan = Scan(np.zeros((1, *geometry.shape), np.float32), geometry)
        seen = reviewer.screen(scan, case_id="a")
        assert isinstance(seen, Review)
        assert seen.slab is None
        assert seen.pixel_mm2 == pytest.approx(10)


def test_small_area_that_the_classifier_calls_none_is_not_flagged(build_card: CardBuilder) -> None:
    targets = SPLEEN_LIVER.model_copy(update={"min_area_mm2": 20.0})
    calibration = Calibration(cases=2, disagreement_limit=0.01)
    card = classifier_card(targets=targets, calibration=calibration)
    reviewer = SliceReviewer(knowing_predictor(card), target=build_card().target)
    geometry = grid((9, 10, 10), spacing_mm=(2, 2, 1))
    seen = reviewer.screen(Scan(np.zeros((1, *geometry.shape), np.float32), geometry), case_id="a")
    mask = np.zeros(geometry.shape, np.uint8)
    mask[0, :5, 4] = 3
    quality = reviewer.check(mask, seen).quality
    assert quality is not None
    assert not quality.is_flagged
    mask[1, 0, 4] = 3
    quality = reviewer.check(mask, seen).quality
    assert quality is not None
    assert quality.is_flagged


def test_scan_that_is_no_scan_is_an_error_of_the_case(build_card: CardBuilder) -> None:
    reviewer = reviewer_of(build_card())
    geometry = grid((9, 10, 10))
    with pytest.raises(ScanError, match=r"^case q: "):
        reviewer.screen(Scan(np.zeros((3, *geometry.shape), np.float32), geometry), case_id="q")
