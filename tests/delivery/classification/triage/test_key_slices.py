from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from medseg.delivery.classification.triage import KeySlice, key_slices
from medseg.errors import ConfigError, DeliveryError
from medseg.records import Array

from tests.delivery.classification.triage.studies import CLASSES, peaks, scores_of


def keys_of(table: Array, *, count: int = 3, background: str | None = "background") -> tuple[KeySlice, ...]:
    return key_slices(scores_of("a", table.tolist()), classes=CLASSES, background=background, count=count)


def test_each_class_has_its_most_probable_slice_and_the_best_comes_first() -> None:
    found = keys_of(peaks(30, background=(0, 1.0), tumour=(3, 0.6), oedema=(20, 0.9)))
    assert found == (KeySlice(20, 30.0, "oedema", 0.9), KeySlice(3, -4.0, "tumour", 0.6))


def test_background_is_a_class_like_others_where_it_is_not_named() -> None:
    found = keys_of(peaks(30, background=(9, 1.0), tumour=(3, 0.6), oedema=(20, 0.9)), background=None)
    assert [key.class_name for key in found] == ["background", "oedema", "tumour"]


@pytest.mark.parametrize(("distance", "expected"), [(0, 1), (1, 1), (4, 1), (5, 2), (-4, 1), (-5, 2)])
def test_key_slices_are_five_slices_apart(distance: int, expected: int) -> None:
    assert len(keys_of(peaks(30, tumour=(10, 0.9), oedema=(10 + distance, 0.8)))) == expected


def test_no_more_key_slices_than_asked_for() -> None:
    table = peaks(30, background=(0, 0.5), tumour=(10, 0.6), oedema=(20, 0.9))
    assert [key.class_name for key in keys_of(table, count=1)] == ["oedema"]
    assert [key.index for key in keys_of(table, count=2, background=None)] == [20, 10]


def test_middle_of_equally_probable_slices_is_taken() -> None:
    table = peaks(40)
    table[10:21, 1] = 0.7
    table[0, 2] = 0.1
    assert keys_of(table)[0].index == 15


def test_one_slice_is_the_key_slice_of_its_best_class() -> None:
    assert keys_of(np.array([[0.1, 0.3, 0.6]])) == (KeySlice(0, -10.0, "oedema", 0.6),)


def test_no_slice_has_no_key_slice() -> None:
    assert keys_of(np.zeros((0, 3))) == ()


def test_slices_without_a_number_are_passed_over() -> None:
    table = peaks(30, tumour=(3, 0.6))
    table[5, 1], table[:, 2] = np.nan, np.inf
    assert [(key.index, key.class_name) for key in keys_of(table)] == [(3, "tumour")]


def test_scores_of_other_classes_are_refused() -> None:
    with pytest.raises(DeliveryError, match=r"case a: probabilities of slices and study must have shapes \(2, 2\)"):
        key_slices(scores_of("a", [[0.1, 0.2, 0.3]] * 2), classes=("x", "y"), background=None)


def test_background_alone_is_refused() -> None:
    with pytest.raises(ConfigError, match="classes must have one beside the background 'background'"):
        key_slices(scores_of("a", [[1.0]]), classes=("background",), background="background")


@given(hnp.arrays(float, st.tuples(st.integers(1, 40), st.just(3)), elements=st.floats(0, 1)), st.integers(0, 4))
def test_key_slices_are_apart_falling_and_true_to_the_scores(table: Array, count: int) -> None:
    found = keys_of(table, count=count)
    indices = sorted(key.index for key in found)
    assert len(found) <= min(count, 2)
    assert all(later - earlier >= 5 for earlier, later in pairwise(indices))
    assert [key.probability for key in found] == sorted((key.probability for key in found), reverse=True)
    assert all(key.probability == table[key.index, CLASSES.index(key.class_name)] for key in found)
    assert not found or found[0].probability == table[:, 1:].max()
