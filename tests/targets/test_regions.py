"""Overlapping structures in a map of label values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from medseg.targets import IGNORED, Regions, WrittenRegions, on_logits
from pydantic import ValidationError

LABELS = {"background": 0, "edema": 1, "core": 2, "rim": 3}
NESTED = Regions(labels=LABELS, regions={"whole": (1, 2, 3), "inner": (2, 3), "rim": (3,)}, order=(1, 2, 3))
# The liver and a lesion that reaches beyond it: value 3 stands for voxels of both.
CROSSING = Regions(
    labels={"background": 0, "liver": 1, "lesion": 2, "liver and lesion": 3},
    regions={"liver": (1, 3), "lesion": (2, 3)},
    order=(1, 2),
)


def in_line(*values: int) -> np.ndarray:
    return np.array(values).reshape(-1, 1, 1)


@pytest.mark.parametrize("target", [NESTED, CROSSING])
@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_label_map_comes_back_from_its_structures(target: Regions, values: list[int]) -> None:
    label = in_line(*values)
    np.testing.assert_array_equal(target.combine(target.encode(label).numpy() == 1), label)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=20))
def test_nested_structures_are_written_in_their_order_as_nnunet_does(codes: list[int]) -> None:
    found = np.stack([(in_line(*codes) >> place & 1).astype(bool) for place in range(3)])
    written = WrittenRegions(labels=LABELS, regions=tuple(NESTED.regions.values()), order=NESTED.order)
    np.testing.assert_array_equal(NESTED.combine(found), written.combine(found))


def test_structures_that_cross_keep_their_overlap() -> None:
    probabilities = torch.tensor([[0.9, 0.9, 0.1, 0.2], [0.1, 0.8, 0.7, 0.5]]).view(2, 4, 1, 1)
    mask = CROSSING.decide(probabilities)
    assert mask.ravel().tolist() == [1, 3, 2, 0]
    assert CROSSING.shows(mask, "liver").ravel().tolist() == [True, True, False, False]
    assert CROSSING.shows(mask, "lesion").ravel().tolist() == [False, True, True, False]
    assert CROSSING.voxels(mask) == {"liver": 2, "lesion": 2}


def test_combination_without_a_value_is_written_in_the_order() -> None:
    labels = {"background": 0, "liver": 1, "lesion": 2}
    target = Regions(labels=labels, regions={"liver": (1,), "lesion": (2,)}, order=(2, 1))
    assert target.combine(np.ones((2, 1, 1, 1), bool)).item() == 1  # the last in the order lies above


def test_value_that_stands_for_no_structure_is_never_written() -> None:
    target = Regions(labels={"background": 0, "couch": 1, "tumour": 2}, regions={"tumour": (2,)}, order=(2,))
    found = np.array([[False, True]]).reshape(1, 2, 1, 1)
    assert target.combine(found).ravel().tolist() == [0, 2]
    assert target.voxels(in_line(0, 1, 2)) == {"tumour": 1}


def test_ignored_voxels_count_for_no_structure() -> None:
    target = NESTED.model_copy(update={"ignore": 9})
    encoded = target.encode(in_line(0, 9, 3))
    assert encoded[:, :, 0, 0].tolist() == [[0, IGNORED, 1]] * 3
    ignored = target.ignored(in_line(0, 9, 3))
    assert ignored is not None
    assert ignored.ravel().tolist() == [False, True, False]
    assert NESTED.ignored(in_line(0, 3)) is None


def test_sums_are_those_of_each_structure() -> None:
    probabilities = torch.rand(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    sums = NESTED.soft_sums(probabilities)
    for place, values in enumerate(probabilities.double()):
        found = values > 0.5
        expected = [float(values[found].sum()), float(values.sum()), float(found.sum())]
        assert sums[:, place].tolist() == pytest.approx(expected)


def test_eight_structures_and_all_their_combinations_come_back() -> None:
    names = [f"s{number}" for number in range(8)]
    values = {f"v{code}": code for code in range(256)}
    regions = {name: tuple(code for code in range(256) if code >> place & 1) for place, name in enumerate(names)}
    target = Regions(labels=values, regions=regions, order=tuple(1 << place for place in range(8)))
    found = np.array(list(itertools.product([False, True], repeat=8))).T[::-1].reshape(8, 256, 1, 1)
    np.testing.assert_array_equal(target.combine(found).ravel(), np.arange(256))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": (1, 2)}, "a value for each of 3 regions, got 2"),
        ({"order": (1, 2, 7)}, r"must hold values of labels, got \[7\]"),
        ({"regions": {"whole": (1, 8), "inner": (2,), "rim": (3,)}}, "region 'whole' must hold values of labels"),
        ({"regions": {"whole": (0, 1), "inner": (2,), "rim": (3,)}}, "other than 0"),
        ({"regions": {"whole": (), "inner": (2,), "rim": (3,)}}, "region 'whole' must hold"),
        ({"ignore": 3}, "ignore must not be the value of a label, got 3"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "different values"),
    ],
)
def test_rules_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Regions.model_validate(NESTED.model_dump() | changes)


def test_a_part_that_is_removed_of_one_region_stays_in_the_others() -> None:
    target = Regions(
        labels={"background": 0, "rim": 1, "core": 2, "inner": 3},
        regions={"whole": (1, 2, 3), "centre": (2, 3), "inmost": (3,)},
        order=(1, 2, 3),
    )
    array = np.array([[[0, 1, 2, 3]]], np.uint8)
    everywhere = np.ones(array.shape, bool)
    assert target.without(array, everywhere, "inmost").tolist() == [[[0, 1, 2, 2]]]
    assert target.without(array, everywhere).tolist() == [[[0, 0, 0, 0]]]
    assert target.extended(array, "whole", everywhere).tolist() == [[[1, 1, 2, 3]]]
    assert target.is_blank(array).tolist() == [[[True, False, False, False]]]
    assert target.without(array, ~everywhere, "inmost").tolist() == array.tolist()


def test_an_outer_region_takes_what_cannot_be_without_it_along() -> None:
    """No value stands for a core outside of the whole, so that both go; written in the order, both would stay."""
    array, everywhere = in_line(0, 1, 2, 3), np.ones((4, 1, 1), bool)
    assert NESTED.without(array, everywhere, "whole").ravel().tolist() == [0, 0, 0, 0]
    assert NESTED.without(array, everywhere, "inner").ravel().tolist() == [0, 1, 1, 1]
    assert CROSSING.without(array, everywhere, "liver").ravel().tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("target", [NESTED, CROSSING])
def test_what_is_removed_of_a_region_is_gone_and_no_other_grows(target: Regions) -> None:
    array, everywhere = in_line(0, 1, 2, 3), np.ones((4, 1, 1), bool)
    for name in target.structures:
        left = target.without(array, everywhere, name)
        assert not target.shows(left, name).any()
        for other in target.structures:
            assert not (target.shows(left, other) & ~target.shows(array, other)).any()


def test_logits_decide_as_their_probabilities_do() -> None:
    target = Regions(labels={"background": 0, "a": 1, "b": 2}, regions={"all": (1, 2), "part": (2,)}, order=(1, 2))
    logits = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    raw = on_logits(target)
    assert np.array_equal(raw.decide(raw.activate(logits)), target.decide(target.activate(logits)))
