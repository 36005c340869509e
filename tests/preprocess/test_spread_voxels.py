"""Spread voxels are those that NumPy's whole list of indices would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medseg.preprocess.segmentation.prepare import _sample_foreground
from medseg.preprocess.spread_voxels import spread_voxels
from medseg.records import Array

MASKS: Any = arrays.arrays(np.uint8, (4, 3, 5), elements=st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(MASKS, st.integers(1, 70), st.booleans())
def test_voxels_are_evenly_spread_over_the_list_of_all(where: Array, most: int, is_turned: bool) -> None:
    where = np.asfortranarray(where) if is_turned else where
    every = np.argwhere(where)
    chosen = every[np.linspace(0, len(every) - 1, min(len(every), most)).astype(np.int64)]
    assert spread_voxels(where, most).tolist() == chosen.tolist()


@pytest.mark.parametrize("ignore", [None, 255])
def test_samples_of_a_hundred_labels_are_those_of_one_pass_for_each(ignore: int | None) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 118, (12, 60, 60)).astype(np.uint8)
    label[:, :20] = 3
    if ignore is not None:
        label[3] = ignore
    expected = []
    for value in np.unique(label[label > 0]) if ignore is None else np.unique(label[label != ignore]):
        places = np.flatnonzero(label == value)
        chosen = places[np.linspace(0, len(places) - 1, min(len(places), 4096)).astype(np.int64)]
        voxels = np.stack(np.unravel_index(chosen, label.shape), axis=1)
        expected.append(np.concatenate([np.full((len(voxels), 1), value), voxels], axis=1))
    found = _sample_foreground(label, ignore=ignore)
    assert found.dtype == np.int64
    assert (found == np.concatenate(expected)).all()
