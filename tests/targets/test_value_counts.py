"""Counts of label values against NumPy's own on whole arrays, whatever the order of the axes in memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medseg.records import Array
from medseg.targets import ExclusiveLabels, Regions
from medseg.targets.structure_values import structure_values
from medseg.targets.value_counts import holds, overlap_counts, value_counts

VALUES = [0, 1, 2, 5, 117, 255]
LABELMAPS: Any = arrays.arrays(np.uint8, (3, 4, 2), elements=st.sampled_from(VALUES))
LAYOUTS: Any = st.sampled_from([lambda array: array, np.asfortranarray, lambda array: array[::-1], lambda a: a[:, ::2]])
STRUCTURES = {"one": (1,), "several": (1, 5, 117), "twice": (2, 2), "nowhere": (9,)}


@settings(max_examples=40, deadline=None)
@given(LABELMAPS, LABELMAPS, LAYOUTS)
def test_overlaps_are_those_of_boolean_masks(first: Array, second: Array, layout: Any) -> None:
    first, second = layout(first), layout(second)
    for name, counts in overlap_counts(first, second, STRUCTURES).items():
        one, other = np.isin(first, STRUCTURES[name]), np.isin(second, STRUCTURES[name])
        assert counts == (one.sum(), other.sum(), (one & other).sum())
        assert (holds(first, STRUCTURES[name]) == one).all()


@settings(max_examples=40, deadline=None)
@given(LABELMAPS, LAYOUTS)
def test_values_below_the_size_are_counted_and_larger_ones_are_not(array: Array, layout: Any) -> None:
    array = layout(array)
    assert value_counts(array, 6).tolist() == [int((array == value).sum()) for value in range(6)]


def test_negative_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        overlap_counts(np.array([-1, 1]), np.array([1, 1]), {"one": (1,)})


def test_arrays_of_one_axis_and_of_bools_are_counted() -> None:
    line = np.array([True, False, True])
    assert value_counts(line, 2).tolist() == [1, 2]
    assert overlap_counts(line, line[::-1], {"one": (1,)}) == {"one": (2, 2, 2)}
    assert holds(np.array([3, 4, 5]), (3, 5)).tolist() == [True, False, True]


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_is_that_of_layers(order: Any) -> None:
    label = np.zeros((64, 64, 64), np.uint8, order=order)
    tracemalloc.start()
    value_counts(label, 118)
    overlap_counts(label, label, {f"s{value}": (value,) for value in range(1, 118)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < label.nbytes * 2  # whole, each would take eight times the label


def test_regions_count_each_voxel_of_theirs_once() -> None:
    labels = {"background": 0, "a": 1, "b": 2}
    target = Regions(labels=labels, regions={"all": (1, 2, 1), "b": (2,)}, order=(1, 2), ignore=9)
    assert target.voxels(np.array([0, 1, 2, 2, 9])) == {"all": 3, "b": 2}
    assert structure_values(target) == {"all": (1, 2, 1), "b": (2,)}
    assert structure_values(ExclusiveLabels(labels=labels)) == {"a": (1,), "b": (2,)}
    assert structure_values(object()) == {}
