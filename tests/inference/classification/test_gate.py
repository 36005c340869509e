"""A gate keeps the slab in which something is found, in the scan's own order, and never less."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ConfigError
from medseg.inference import Slab
from medseg.inference.classification import Calibration, Gate
from medseg.records import SliceScores
from medseg.targets import SliceClasses

from tests.inference.classification.knowing import card_of

CARD = card_of()


def scores_of(liver: list[float], *, step_mm: float = 3.0, axis: int = 2, spleen: float = 0.0) -> SliceScores:
    """Probabilities of the liver by slice; the spleen's is the same everywhere."""
    p = np.array([[value, spleen] for value in liver])
    return SliceScores("a", "a", axis, step_mm * np.arange(float(len(liver))), p, p.max(axis=0))


def slab_of(liver: list[float], *, margin_mm: float = 0.0, step_mm: float = 3.0, threshold: float = 0.5) -> Slab:
    return Gate(0.95, threshold, margin_mm).slab(scores_of(liver, step_mm=step_mm), CARD)


def test_slab_reaches_from_the_first_to_the_last_found_slice_and_one_beyond() -> None:
    assert slab_of([0, 0, 0, 0.9, 0, 0.5, 0, 0, 0]) == Slab(2, 2, 7)


def test_slice_at_the_threshold_is_kept() -> None:
    assert slab_of([0, 0, 0.5, 0, 0]) == Slab(2, 1, 4)
    assert slab_of([0, 0, math.nextafter(0.5, 0), 0, 0]).is_empty


@pytest.mark.parametrize(
    ("margin_mm", "step_mm", "slices"),
    [(0, 3, 1), (3, 3, 1), (3.1, 3, 2), (5, 1, 5), (5, -1, 5), (5, 10, 1), (5, 2.5, 2)],
)
def test_margin_is_in_millimetres_and_at_least_one_slice(margin_mm: float, step_mm: float, slices: int) -> None:
    liver = [0.0] * 21
    liver[10] = 1.0
    assert slab_of(liver, margin_mm=margin_mm, step_mm=step_mm) == Slab(2, 10 - slices, 11 + slices)


def test_margin_ends_where_the_scan_ends() -> None:
    assert slab_of([1, 0, 0, 0, 0], margin_mm=6) == Slab(2, 0, 3)
    assert slab_of([0, 0, 0, 0, 1], margin_mm=6) == Slab(2, 2, 5)
    assert slab_of([1, 0, 0, 1], margin_mm=100) == Slab(2, 0, 4)


def test_nothing_found_is_an_empty_slab() -> None:
    found = slab_of([0, 0.1, 0.49], margin_mm=50)
    assert found.is_empty
    assert found.axis == 2


@pytest.mark.parametrize(("p", "expected"), [(0.9, Slab(1, 0, 1)), (0.1, Slab(1, 0, 0))])
def test_scan_of_one_slice_is_kept_or_not(p: float, expected: Slab) -> None:
    assert Gate(0.95, 0.5, 5.0).slab(scores_of([p], axis=1), CARD) == expected


def test_slices_that_lie_in_one_place_have_a_margin_too() -> None:
    scores = SliceScores("a", "a", 2, np.zeros(5), np.eye(5)[2][:, None] * [1, 0], np.zeros(2))
    assert Gate(0.95, 0.5, 5.0).slab(scores, CARD) == Slab(2, 0, 5)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 0.99), st.floats(0, 20), st.floats(-6, 6))
def test_no_found_slice_is_ever_left_out(
    liver: list[float], threshold: float, margin_mm: float, step_mm: float
) -> None:
    slab = slab_of(liver, threshold=threshold, margin_mm=margin_mm, step_mm=step_mm)
    found = [n for n, p in enumerate(liver) if p >= threshold]
    assert slab.is_empty == (not found)
    assert all(slab.start <= n < slab.stop for n in found)
    assert slab.stop <= len(liver)
    turned = slab_of(liver[::-1], threshold=threshold, margin_mm=margin_mm, step_mm=-step_mm)
    if found:
        assert (turned.start, turned.stop) == (len(liver) - slab.stop, len(liver) - slab.start)


def test_any_label_keeps_a_slice() -> None:
    assert Gate(0.95, 0.5, 0.0).slab(scores_of([0, 0, 0], spleen=0.6), CARD) == Slab(2, 0, 3)


def test_slice_that_is_not_background_is_kept() -> None:
    card = card_of(targets=SliceClasses(kind="multiclass", classes=("liver", "background", "spleen")))
    p = np.array([[0, 1, 0], [0, 1, 0], [0.3, 0.4, 0.3], [0, 1, 0], [0.2, 0.6, 0.2]])
    scores = SliceScores("a", "a", 0, np.arange(5.0), p, p.max(axis=0))
    assert Gate(0.95, 0.5, 0.0).slab(scores, card) == Slab(0, 1, 4)


def test_classifier_that_does_not_know_a_label_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="must know every label of the model, else they would be lost; got none for lung, tumour"
    ):
        Gate.of(CARD, sensitivity=0.95, labels=["tumour", "liver", "lung"])


def test_gate_of_a_classifier_has_its_threshold_for_the_next_sensitivity() -> None:
    gate = Gate.of(CARD, sensitivity=0.92, labels=["spleen", "background"])
    assert (gate.sensitivity, gate.threshold, gate.margin_mm) == (0.95, 0.5, 5.0)


def test_classifier_without_thresholds_is_refused() -> None:
    with pytest.raises(ConfigError, match="must have thresholds from validation cases"):
        Gate.of(card_of(calibration=Calibration()), sensitivity=0.95, labels=["liver"])
