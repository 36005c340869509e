"""From logits to probabilities: what SciPy says, with the weights' shift taken off, the temperature used once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.inference.classification import SliceOutputs, slice_outputs, slice_probabilities, study_probabilities
from medseg.inference.classification.outputs import BATCH
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.preprocess.classification import with_context
from scipy.special import expit, softmax
from torch import Tensor

from tests.inference.classification.knowing import CPU

numbers = st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None)
@given(numbers, st.tuples(*[st.floats(-3, 3)] * 3), st.floats(0.1, 20))
def test_probabilities_are_those_of_the_corrected_logits(
    logits: list[tuple[float, ...]], shift: tuple[float, ...], temperature: float
) -> None:
    given_logits, given_shift = np.array(logits), np.array(shift)
    settled = (given_logits - given_shift) / temperature
    several = slice_probabilities(given_logits, shift=given_shift, temperature=temperature, kind="multilabel")
    np.testing.assert_allclose(several, expit(settled), atol=1e-12)
    one_of = slice_probabilities(given_logits, shift=given_shift, temperature=temperature, kind="multiclass")
    np.testing.assert_allclose(one_of, softmax(settled, axis=1), atol=1e-12)


def test_huge_logits_stay_probabilities() -> None:
    logits = np.array([[1e4, -1e4]])
    for kind in ("multilabel", "multiclass"):
        p = slice_probabilities(logits, shift=np.zeros(2), temperature=0.1, kind=kind)
        np.testing.assert_allclose(p, [[1, 0]], atol=1e-12)


def classifier(**settings: Any) -> SliceClassifier:
    torch.manual_seed(0)
    shape = {"width": 4, "stem": "small", "blocks": (1,), "out_channels": 2}
    return SliceClassifier(ClassifierConfig(**shape | settings)).eval()


def test_every_slice_of_a_long_scan_has_its_own_logits_in_order() -> None:
    """Longer than one batch, with neighbours from across its border."""
    count = 2 * BATCH + 3
    stack = torch.randn(count, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    network = classifier(in_channels=6)
    found = slice_outputs(network, stack, context=1, device=CPU, precision="fp32")
    assert found.slices.shape == (count, 2)
    assert (found.study, found.weights) == (None, None)
    with torch.inference_mode():
        for index in (0, BATCH - 1, BATCH, count - 1):
            alone = network(with_context(stack, index, 1)[None])[0].numpy()
            np.testing.assert_allclose(found.slices[index], alone, rtol=1e-4, atol=1e-5)


def test_scan_of_one_slice_is_classified() -> None:
    found = slice_outputs(classifier(in_channels=3), torch.randn(1, 1, 8, 8), context=1, device=CPU, precision="fp32")
    assert found.slices.shape == (1, 2)


def test_attention_weights_of_a_long_study_sum_to_one() -> None:
    stack = torch.randn(BATCH + 6, 1, 8, 8)
    found = slice_outputs(classifier(pooling="attention"), stack, context=0, device=CPU, precision="fp32")
    assert found.weights is not None
    assert found.study is not None
    assert found.weights.shape == (BATCH + 6,)
    assert found.weights.sum() == pytest.approx(1)
    assert found.study.shape == (2,)


def test_study_is_as_likely_as_its_likeliest_slice_where_the_network_does_not_pool() -> None:
    p = np.array([[0.1, 0.9], [0.7, 0.2]])
    outputs = SliceOutputs(np.zeros((2, 2)), None, None)
    found = study_probabilities(outputs, p, shift=np.zeros(2), temperature=1.0, kind="multilabel")
    assert found.tolist() == [0.7, 0.9]


@pytest.mark.parametrize("kind", ["multilabel", "multiclass"])
def test_pooled_study_is_corrected_as_slices_are(kind: Any) -> None:
    shift, logits = np.array([1.0, -2.0]), np.array([3.0, -4.0])
    outputs = SliceOutputs(np.zeros((3, 2)), logits, None)
    found = study_probabilities(outputs, np.full((3, 2), 0.5), shift=shift, temperature=2.0, kind=kind)
    settled = (logits - shift) / 2
    np.testing.assert_allclose(found, expit(settled) if kind == "multilabel" else softmax(settled))


def test_network_that_is_being_trained_elsewhere_is_not_asked_for_gradients() -> None:
    network = classifier()
    stack: Tensor = torch.randn(2, 1, 8, 8)
    slice_outputs(network, stack, context=0, device=CPU, precision="fp32")
    assert all(parameter.grad is None for parameter in network.parameters())
