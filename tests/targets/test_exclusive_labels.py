"""One label per voxel: channels are values in rising order, and every step is the arithmetic written out by hand."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from medseg.targets import IGNORED, ExclusiveLabels
from pydantic import ValidationError

ORGANS = ExclusiveLabels(labels={"background": 0, "liver": 300, "spleen": 7})


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_channels_are_the_values_in_rising_order() -> None:
    assert (ORGANS.values, ORGANS.channels) == ((0, 7, 300), 3)
    assert ORGANS.names == ("background", "liver", "spleen")
    assert ORGANS.structures == ("liver", "spleen")
    assert ORGANS.foreground == {"liver": 300, "spleen": 7}


def test_label_is_encoded_as_channel_numbers() -> None:
    encoded = ORGANS.encode(np.array([[[0, 7, 300, 7]]], np.uint16))
    assert encoded.dtype == torch.int16
    assert encoded.tolist() == [[[[0, 1, 2, 1]]]]


@given(st.sets(st.integers(0, 65535), min_size=1, max_size=40).map(sorted))
def test_decision_of_an_encoded_label_is_the_label(values: list[int]) -> None:
    target = ExclusiveLabels(labels={str(value): value for value in reversed(values)})
    label = np.random.default_rng(0).choice(values, (3, 4, 5)).astype(np.uint16)
    index = target.encode(label)[0].long()
    one_hot = torch.nn.functional.one_hot(index, target.channels).movedim(-1, 0).float()
    found = target.decide(one_hot)
    np.testing.assert_array_equal(found, label)
    assert found.dtype == target.blank(()).dtype == np.min_scalar_type(values[-1])


def test_activation_is_a_softmax_over_the_channels_to_the_last_bit() -> None:
    logits = 4 * noise(3, 5, 4, 2)
    assert torch.equal(ORGANS.activate(logits), torch.softmax(logits, 0))
    assert torch.equal(ORGANS.activate(logits[None], dim=1)[0], torch.softmax(logits, 0))
    powers = np.exp(logits.double().numpy())
    np.testing.assert_allclose(ORGANS.activate(logits).numpy(), powers / powers.sum(axis=0), rtol=2e-6)


def test_decision_is_the_value_of_the_largest_channel() -> None:
    values = noise(3, 5, 4, 2)
    expected = [0, 7, 300]
    found = ORGANS.decide(values)
    for place in np.ndindex(5, 4, 2):
        column = [float(values[(channel, *place)]) for channel in range(3)]
        assert found[place] == expected[column.index(max(column))]


def test_lower_value_wins_between_equals() -> None:
    assert ORGANS.decide(torch.tensor([0.2, 0.4, 0.4]).view(3, 1, 1, 1)).tolist() == [[[7]]]
    assert ORGANS.decide(torch.zeros(3, 1, 1, 1)).tolist() == [[[0]]]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_decision_slab_by_slab_is_that_of_the_whole(axis: int) -> None:
    values = noise(3, 4, 5, 6)
    whole = ORGANS.blank((4, 5, 6))
    for index in range(values.shape[axis + 1]):
        place = tuple(slice(index, index + 1) if n == axis else slice(None) for n in range(3))
        whole[(..., *place)] = ORGANS.decide(values.narrow(axis + 1, index, 1))
    np.testing.assert_array_equal(whole, ORGANS.decide(values))


def test_blank_is_background_in_the_type_of_a_decision() -> None:
    blank = ORGANS.blank((2, 3, 4))
    assert blank.shape == (2, 3, 4)
    assert not blank.any()
    assert blank.dtype == np.uint16


def test_structures_are_shown_and_counted_by_their_value() -> None:
    array = np.array([[[0, 7, 7], [300, 0, 7]]], np.uint16)
    np.testing.assert_array_equal(ORGANS.shows(array, "spleen"), [[[False, True, True], [False, False, True]]])
    assert ORGANS.voxels(array) == {"liver": 1, "spleen": 3}
    assert ORGANS.voxels(np.zeros((1, 1, 1), np.uint8)) == {"liver": 0, "spleen": 0}


def test_no_voxel_is_ignored_without_a_value_for_it() -> None:
    assert ORGANS.ignored(np.zeros((1, 1, 2), np.uint8)) is None


def test_voxels_that_nobody_annotated_are_ignored_and_get_no_channel() -> None:
    partial = ExclusiveLabels(labels={"background": 0, "liver": 1, "tumour": 3}, ignore=2)
    label = np.array([[[0, 1, 2, 3]]], np.uint8)
    np.testing.assert_array_equal(partial.ignored(label), [[[False, False, True, False]]])
    assert partial.encode(label).tolist() == [[[[0, 1, IGNORED, 2]]]]
    assert partial.channels == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "different values from 0"),
        ({"labels": {"background": 0, "a": -1}}, "different values from 0"),
        ({"labels": {}}, "at least 1 item"),
        ({"labels": {"background": 0, "a": 1}, "ignore": 1}, "ignore must not be the value of a label, got 1"),
        ({"labels": {"background": 0}, "regions": {}}, "Extra inputs"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ExclusiveLabels.model_validate(fields)


def test_target_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ORGANS.ignore = 4  # type: ignore[misc]  # what is tried


def test_empty_grid_has_an_empty_decision() -> None:
    assert ORGANS.decide(torch.zeros(3, 0, 2, 2)).shape == (0, 2, 2)
    assert math.prod(ORGANS.blank((0, 2, 2)).shape) == 0


@pytest.mark.parametrize("order", ["C", "F"])
def test_voxels_are_counted_in_little_memory_in_either_order(order: str) -> None:
    array = np.asarray(np.random.default_rng(0).choice([0, 7, 300], size=(60, 70, 80)), np.uint16, order=order)
    tracemalloc.start()
    found = ORGANS.voxels(array)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {"liver": np.count_nonzero(array == 300), "spleen": np.count_nonzero(array == 7)}
    assert peak < 2 * array.nbytes
