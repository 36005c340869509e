"""Representative slices and studies of cases whose answer is plain."""

from __future__ import annotations

import pytest
from medseg.evaluation.classification import rank_studies, representative_slices, representative_studies

from tests.evaluation.classification.made_scores import case_of


def test_hits_are_called_and_there_misses_are_either_error() -> None:
    scores = [
        case_of([0.9, 0.7, 0.3, 0.1], [1, 1, 1, 0], case_id="a"),
        case_of([0.95, 0.6, 0.2], [0, 1, 0], case_id="b"),
        case_of([0.99, 0.99], [-1, -1], case_id="c"),
        case_of([0.99], None, case_id="d"),
    ]
    hits, misses = representative_slices(scores, classes=("liver",), kind="multilabel")["liver"]
    assert [(one.case_id, one.slice, one.probability, one.truth, one.is_hit) for one in hits] == [
        ("a", 0, 0.9, True, True),
        ("b", 1, 0.6, True, True),
    ]
    assert [(one.case_id, one.slice, one.probability, one.truth, one.is_hit) for one in misses] == [
        ("b", 0, 0.95, False, False),
        ("a", 2, 0.3, True, False),
    ]


def test_a_case_gives_one_slice_and_count_limits_them() -> None:
    scores = [case_of([0.6 + 0.01 * n, 0.8 + 0.01 * n], [1, 1], case_id=f"case_{n}") for n in range(5)]
    found = representative_slices(scores, classes=("liver",), kind="multilabel", count=2)["liver"]
    assert [(one.case_id, one.slice) for one in found.hits] == [("case_4", 1), ("case_3", 1)]
    assert found.misses == ()


def test_threshold_decides_what_is_called_and_equals_are_called() -> None:
    scores = [case_of([0.5], [1])]
    assert representative_slices(scores, classes=("liver",), kind="multilabel")["liver"].hits
    strict = representative_slices(scores, classes=("liver",), kind="multilabel", threshold=0.6)["liver"]
    assert not strict.hits
    assert strict.misses[0].truth


def test_multi_class_calls_the_most_probable_class() -> None:
    scores = [case_of([[0.4, 0.35, 0.25], [0.2, 0.3, 0.5]], [[1, 0, 0], [0, 1, 0]])]
    found = representative_slices(scores, classes=("x", "y", "z"), kind="multiclass")
    assert [one.slice for one in found["x"].hits] == [0]
    assert [(one.slice, one.truth) for one in found["y"].misses] == [(1, True)]
    assert [(one.slice, one.truth) for one in found["z"].misses] == [(1, False)]
    assert not found["x"].misses


def test_studies_are_ranked_by_mean_error_over_known_slices() -> None:
    scores = [
        case_of([0.9, 0.2, 0.0], [1, 0, -1], case_id="good"),
        case_of([0.1, 0.9], [1, 0], case_id="bad"),
        case_of([0.5, 0.5], [1, 0], case_id="middling"),
        case_of([0.5], None, case_id="no truth"),
        case_of([0.5], [-1], case_id="unknown"),
    ]
    ranked = rank_studies(scores)
    assert [name for name, _ in ranked] == ["bad", "middling", "good"]
    assert [error for _, error in ranked] == pytest.approx([0.9, 0.5, 0.15])
    assert representative_studies(scores) == {"worst": ranked[0], "median": ranked[1], "best": ranked[2]}
    assert representative_studies(scores[3:]) == {}
