"""Classes of slices: what areas teach, what logits become, and what is decided, each written out by hand."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from medseg.errors import ConfigError
from medseg.targets import UNKNOWN, ClassKind, SliceClasses, called_classes, class_index
from pydantic import ValidationError

BOTH = SliceClasses(classes=("liver", "spleen"), min_area_mm2=10.0)
ONE_OF = SliceClasses(kind="multiclass", classes=("spleen", "background", "liver"), min_area_mm2=10.0)
AREAS = {"liver": np.array([0.0, 10.0, 30.0, 20.0]), "spleen": np.array([0.0, 5.0, 11.0, 20.0])}
KINDS = get_args(ClassKind)

logit_rows = hnp.arrays(np.float64, (4, 3), elements=st.floats(-80, 80))


def test_every_label_above_the_least_area_is_there() -> None:
    assert BOTH.encode(AREAS).tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]
    assert BOTH.encode(AREAS).dtype == np.int8


def test_largest_label_is_the_class_of_a_slice_else_the_background() -> None:
    spleen, background, liver = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    assert ONE_OF.encode(AREAS).tolist() == [background, background, liver, spleen]  # of equals the earlier class


def test_slice_of_no_class_has_an_empty_row_without_a_background() -> None:
    bare = SliceClasses(kind="multiclass", classes=("liver", "spleen"), min_area_mm2=10.0)
    assert bare.encode(AREAS).tolist() == [[0, 0], [0, 0], [1, 0], [1, 0]]
    assert (bare.can_show_nothing, ONE_OF.can_show_nothing, BOTH.can_show_nothing) == (False, True, True)


def test_labels_that_are_no_class_do_not_count() -> None:
    assert BOTH.encode({**AREAS, "lung": np.full(4, 99.0)}).tolist() == BOTH.encode(AREAS).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_areas_show_what_they_teach(kind: Any) -> None:
    areas = np.random.default_rng(0).uniform(0, 30, (50, 2))
    targets = SliceClasses(kind=kind, classes=("liver", "spleen"), min_area_mm2=10.0)
    truth = targets.encode({"liver": areas[:, 0], "spleen": areas[:, 1]})
    np.testing.assert_array_equal(targets.shown(areas), truth == 1)


@given(logit_rows)
def test_probabilities_of_several_classes_are_each_their_own(logits: np.ndarray) -> None:
    expected = [[1 / (1 + math.exp(-min(max(value, -60), 60))) for value in row] for row in logits.tolist()]
    np.testing.assert_allclose(BOTH.activate(logits), expected, rtol=1e-14)
    settled = np.clip(logits, -60, 60)
    np.testing.assert_array_equal(BOTH.activate(logits), 1 / (1 + np.exp(-settled)))  # to the last bit


@given(logit_rows)
def test_probabilities_of_one_class_share_one(logits: np.ndarray) -> None:
    found = ONE_OF.activate(logits)
    for row, given_row in zip(found, logits.tolist(), strict=True):
        powers = [math.exp(value - max(given_row)) for value in given_row]
        np.testing.assert_allclose(row, [power / math.fsum(powers) for power in powers], rtol=1e-13)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_array_equal(found, powers / powers.sum(axis=1, keepdims=True))  # to the last bit


def test_class_is_decided_by_the_threshold_or_by_the_largest() -> None:
    p = np.array([[0.5, 0.49], [0.2, 0.6]])
    assert BOTH.decide(p).tolist() == [[True, False], [False, True]]
    assert BOTH.decide(p, threshold=0.2).tolist() == [[True, True], [True, True]]
    one = np.array([[0.4, 0.2, 0.4], [0.3, 0.3, 0.4]])
    assert ONE_OF.decide(one).tolist() == [[True, False, False], [False, False, True]]
    np.testing.assert_array_equal(called_classes(one, "multiclass"), ONE_OF.decide(one))


def test_first_of_equals_is_the_class_of_a_row_in_numpy_and_torch() -> None:
    import torch

    rows = [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    assert class_index(np.array(rows)).tolist() == [1, 0, 0]
    assert class_index(torch.tensor(rows)).tolist() == [1, 0, 0]


def test_unknown_entries_are_ignored() -> None:
    assert BOTH.ignored(np.array([[1, UNKNOWN], [0, 1]])).tolist() == [[False, True], [False, False]]


def test_slice_shows_anything_as_likely_as_its_likeliest_label() -> None:
    assert BOTH.any_probability(np.array([[0.1, 0.4], [0.3, 0.2]])).tolist() == [0.4, 0.3]


def test_slice_shows_anything_as_likely_as_it_is_not_background() -> None:
    p = np.array([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
    targets = SliceClasses(kind="multiclass", classes=("liver", "background", "spleen"))
    np.testing.assert_allclose(targets.any_probability(p), [0.3, 0.9])
    bare = SliceClasses(kind="multiclass", classes=("liver", "spleen", "lung"))
    with pytest.raises(ConfigError, match="must have a 'background' for slices that show nothing, got"):
        bare.any_probability(p)


def test_whether_a_slice_shows_anything_is_known_from_its_truth() -> None:
    several = np.array([[0, 0], [0, UNKNOWN], [1, UNKNOWN], [UNKNOWN, UNKNOWN]])
    assert BOTH.any_truth(several).tolist() == [0, UNKNOWN, 1, UNKNOWN]
    one = np.array([[0, 1, 0], [1, 0, 0], [UNKNOWN] * 3])
    assert ONE_OF.any_truth(one).tolist() == [0, 1, UNKNOWN]


def test_names_of_what_can_be_shown() -> None:
    assert (ONE_OF.channels, ONE_OF.structures, ONE_OF.background) == (3, ("spleen", "liver"), "background")
    assert (BOTH.channels, BOTH.structures, BOTH.background) == (2, ("liver", "spleen"), None)


@pytest.mark.parametrize("classes", [(), ("a", "a"), ("mean",)])
def test_classes_that_cannot_be_told_apart_are_refused(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="classes"):
        SliceClasses(classes=classes)
