"""Masks come back from their small form as they went in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from medseg.records import Labelmap
from medseg.training.segmentation.kept_masks import KeptMasks

SHAPES = arrays.array_shapes(min_dims=3, max_dims=3, max_side=5)
TYPES = st.sampled_from([np.uint8, np.uint16, np.int32])


@given(TYPES.flatmap(lambda kind: arrays.arrays(kind, SHAPES, elements=st.integers(0, 200))))
def test_mask_is_as_it_was(mask: Labelmap) -> None:
    masks = KeptMasks()
    masks.keep("a", np.zeros((2, 2, 2), np.uint8))
    masks.keep("a", mask)
    assert masks["a"].dtype == mask.dtype
    np.testing.assert_array_equal(masks["a"], mask)


def test_mask_in_any_order_of_memory_is_as_it_was() -> None:
    mask = np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(2, 0, 1)[::-1]
    masks = KeptMasks()
    masks.keep("a", mask)
    np.testing.assert_array_equal(masks["a"], mask)
    assert "b" not in masks
    with pytest.raises(KeyError):
        masks["b"]
