"""Probabilities lie on the slices of the scan's own array that they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import CheckpointError, ScanError
from medseg.geometry import Geometry
from medseg.inference.classification import Calibration, SliceOutputs, SlicePredictor, save_classifier_card
from medseg.manifest import read_case
from medseg.networks.classification import SliceClassifier
from medseg.networks.weights import save_weights
from medseg.plane import Plane
from medseg.preprocess.classification import SliceConfig, slice_axis
from medseg.preprocess.classification.targets import LabelTargets
from medseg.records import Scan
from medseg.targets import SliceClasses
from torch import Tensor

from tests.grid_strategies import grids
from tests.grids import OBLIQUE
from tests.inference.classification.knowing import CPU, Knowing, card_of, knowing_predictor
from tests.preprocess.classification.scans import NONE, manifest_of, prepare, write_labelled

WORLD: dict[Plane, int] = {"sagittal": 0, "coronal": 1, "axial": 2}


def slices_of(plane: Plane, geometry: Geometry, **changes: Any) -> SliceConfig:
    """Pictures of the scan's own pixels, so that a single voxel is seen whole."""
    found = slice_axis(geometry, plane).grid
    spacing = found.spacing_mm[:2]
    pixel_mm = min(spacing)
    size = tuple(max(8, int(np.ceil(n * mm / pixel_mm)) + 1) for n, mm in zip(found.shape, spacing, strict=False))
    return SliceConfig(plane=plane, pixel_mm=pixel_mm, size=size, normalisation=(NONE,), **changes)


@settings(max_examples=60, deadline=None)
@given(grids(max_tilt=0.3, min_size=2), st.sampled_from(list(WORLD)), st.integers(0, 2), st.data())
def test_found_slices_are_those_of_the_scan_s_own_array(
    geometry: Geometry, plane: Plane, context: int, data: st.DataObject
) -> None:
    along = slice_axis(geometry, plane)
    count = geometry.shape[along.axis]
    shown = data.draw(st.sets(st.integers(0, count - 1)))
    array = np.zeros(geometry.shape, np.float32)
    place: list[Any] = [slice(None)] * 3
    place[along.axis] = sorted(shown)
    array[tuple(place)] = 1
    card = card_of(slices=slices_of(plane, geometry, context=context))
    scores = knowing_predictor(card).scores(Scan(array[None], geometry), case_id="a", patient_id="p")
    assert np.flatnonzero(scores.probabilities[:, 0] > 0.5).tolist() == sorted(shown)
    assert not (scores.probabilities[:, 1] > 0.5).any()
    assert (scores.study[0] > 0.5) == bool(shown)
    assert (scores.axis, scores.case_id, scores.patient_id) == (along.axis, "a", "p")
    middle = (np.array(geometry.shape) - 1) / 2
    voxels = np.tile(middle, (count, 1))
    voxels[:, along.axis] = np.arange(count)
    np.testing.assert_allclose(scores.positions_mm, geometry.world_mm(voxels)[:, WORLD[plane]], atol=1e-6)


def run_folder(folder: Path, **changes: Any) -> Path:
    """A run of a small random classifier."""
    card = card_of(**changes)
    torch.manual_seed(3)
    save_classifier_card(card, folder / "model")
    save_weights(SliceClassifier(card.network).state_dict(), folder / "model" / "last.safetensors")
    return folder


@pytest.mark.parametrize("which", [".", "model"])
def test_run_and_its_model_folder_give_the_same_classifier(tmp_path: Path, which: str) -> None:
    run = run_folder(tmp_path)
    loaded = SlicePredictor.load(run / which, device=CPU)
    assert loaded.card == card_of()
    assert not loaded.network.training
    scan = Scan(np.ones((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    scores = loaded.scores(scan, case_id="a")
    assert scores.probabilities.shape == (OBLIQUE.shape[slice_axis(OBLIQUE, "axial").axis], 2)
    assert scores.patient_id == "a"


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    run = run_folder(tmp_path)
    save_classifier_card(card_of(network=card_of().network.model_copy(update={"width": 8})), run / "model")
    with pytest.raises(CheckpointError, match="must fit the network that is described beside them"):
        SlicePredictor.load(run, device=CPU)
    (run / "model" / "last.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="must be readable"):
        SlicePredictor.load(run, device=CPU)


@pytest.mark.parametrize("context", [0, 1])
def test_scan_and_its_entry_in_the_store_have_the_same_probabilities_bit_for_bit(tmp_path: Path, context: int) -> None:
    """A threshold that keeps a slice of a prepared case keeps it of the scan itself."""
    config = SliceConfig(pixel_mm=0.9, size=(32, 32), context=context, normalisation=({"kind": "zscore"},))
    predictor = SlicePredictor.load(run_folder(tmp_path / "run", slices=config), device=CPU)
    case = write_labelled(tmp_path, "a", OBLIQUE, label=np.ones(OBLIQUE.shape, np.uint8))
    (stored,) = prepare([case], tmp_path, config=config)
    truth = LabelTargets(SliceClasses(classes=("liver", "spleen"))).read(stored, case)
    scan, _ = read_case(case, manifest_of([case]), tmp_path)
    of_scan, of_store = predictor.scores(scan, case_id="a"), predictor.stored_scores(stored, truth)
    np.testing.assert_array_equal(of_scan.probabilities, of_store.probabilities)
    np.testing.assert_array_equal(of_scan.study, of_store.study)
    np.testing.assert_array_equal(of_scan.positions_mm, of_store.positions_mm)
    assert of_store.truth is not None
    assert (of_scan.axis, of_store.truth.tolist()) == (of_store.axis, [[1, 0]] * len(stored))


def test_truth_of_a_prepared_case_is_turned_with_its_probabilities(tmp_path: Path) -> None:
    geometry = Geometry((8, 8, 5), np.diag([1.0, 1.0, -2.0, 1.0]))
    label = np.zeros(geometry.shape, np.uint8)
    label[2:5, 2:5, 1] = 1
    label[2:5, 2:5, 4] = 2
    case = write_labelled(tmp_path, "a", geometry, image=label, label=label)
    (stored,) = prepare([case], tmp_path, config=card_of().slices)
    assert stored.is_flipped
    truth = LabelTargets(SliceClasses(classes=("liver", "spleen"))).read(stored, case)
    scores = knowing_predictor().stored_scores(stored, truth)
    assert scores.truth is not None
    assert scores.truth.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 1]]
    np.testing.assert_array_equal(scores.probabilities > 0.5, scores.truth == 1)
    assert scores.study_truth is not None
    assert scores.study_truth.tolist() == [1, 1]
    assert scores.positions_mm.tolist() == [0, -2, -4, -6, -8]
    assert knowing_predictor().stored_scores(stored).truth is None


def test_shift_and_temperature_of_the_card_are_used_once(tmp_path: Path) -> None:
    card = card_of(shift=(2.0, -1.0), calibration=Calibration(temperature=4.0))
    geometry = Geometry((8, 8, 2), np.eye(4))
    image = np.zeros(geometry.shape)
    image[4, 4, 0] = 1
    (stored,) = prepare([write_labelled(tmp_path, "a", geometry, image=image)], tmp_path, config=card.slices)
    predictor = knowing_predictor(card)
    logits = np.array([[8.0, -8.0], [-8.0, -8.0]]) - [2.0, -1.0]
    np.testing.assert_allclose(predictor.stored_scores(stored).probabilities, 1 / (1 + np.exp(-logits / 4)))
    raw = predictor.stored_scores(stored, is_calibrated=False).probabilities
    np.testing.assert_allclose(raw, 1 / (1 + np.exp(-logits)))
    scan = Scan(image[None].astype(np.float32), geometry)
    np.testing.assert_allclose(predictor.scores(scan, case_id="a").probabilities, 1 / (1 + np.exp(-logits / 4)))


def test_wrong_number_of_channels_names_the_case_and_the_channels() -> None:
    scan = Scan(np.zeros((2, *OBLIQUE.shape), np.float32), OBLIQUE)
    with pytest.raises(ScanError, match=r"case x7: image must have the classifier's 1 channels \(MR\), got 2; give"):
        knowing_predictor().scores(scan, case_id="x7")


def test_probabilities_that_are_no_numbers_are_refused_and_not_taken_for_an_empty_scan() -> None:
    class Broken(Knowing):
        def features(self, x: Tensor) -> Tensor:
            return super().features(x) * float("nan")

    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    with pytest.raises(ScanError, match="case x7: the classifier's probabilities must be finite, got NaN"):
        knowing_predictor(network=Broken()).scores(scan, case_id="x7")


@pytest.mark.parametrize("part", ["slices", "study"])
def test_study_or_slices_that_are_no_numbers_are_refused(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count = OBLIQUE.shape[slice_axis(OBLIQUE, "axial").axis]
    outputs = SliceOutputs(np.zeros((count, 2)), np.zeros(2), None)
    outputs = outputs._replace(**{part: getattr(outputs, part) * np.nan})
    monkeypatch.setattr(SlicePredictor, "outputs", lambda self, stack, **settings: outputs)
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    with pytest.raises(ScanError, match="case x7: the classifier's probabilities must be finite"):
        knowing_predictor().scores(scan, case_id="x7")


def test_photograph_is_one_slice() -> None:
    geometry = Geometry.flat(10, 12, spacing_mm=(1, 1))
    scores = knowing_predictor().scores(Scan(np.ones((1, 10, 12, 1), np.float32), geometry), case_id="a")
    assert scores.probabilities.shape == (1, 2)
    assert (scores.axis, scores.probabilities[0, 0] > 0.5) == (2, True)
