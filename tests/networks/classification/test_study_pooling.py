"""From slices to studies: each pooling by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from medseg.errors import ConfigError
from medseg.networks.classification import ClassifierConfig, SliceClassifier

LENGTHS = [4, 1, 2]


def classifier(pooling: Any) -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(
        ClassifierConfig(architecture="resnet18", width=2, blocks=(1, 1), out_channels=3, pooling=pooling)
    ).eval()


def random_features() -> torch.Tensor:
    return 3 * torch.randn(7, 4, generator=torch.Generator().manual_seed(1))


def test_max_takes_each_class_from_its_own_slice() -> None:
    network = classifier("max")
    logits = network.classify(random_features())
    expected = torch.stack([logits[:4].max(0).values, logits[4], torch.maximum(logits[5], logits[6])])
    assert torch.equal(network.study_logits(random_features(), LENGTHS), expected)


def test_mean_is_over_the_slices_of_each_study() -> None:
    network = classifier("mean")
    logits = network.classify(random_features())
    expected = torch.stack([logits[:4].sum(0) / 4, logits[4], (logits[5] + logits[6]) / 2])
    torch.testing.assert_close(network.study_logits(random_features(), LENGTHS), expected)


def test_attention_is_the_paper_s_equation_9() -> None:
    network = classifier("attention")
    attention, features = network.attention, random_features()
    assert attention is not None
    v, bias_v, u, bias_u = (*attention.value.parameters(), *attention.gate.parameters())
    w = attention.score.weight[0]
    scores = torch.stack([w @ (torch.tanh(v @ h + bias_v) * torch.sigmoid(u @ h + bias_u)) for h in features])
    weights = torch.cat([part.exp() / part.exp().sum() for part in scores.split(LENGTHS)])
    torch.testing.assert_close(network.slice_weights(features, LENGTHS), weights)
    pooled = torch.stack([(weights[s, None] * features[s]).sum(0) for s in (slice(4), slice(4, 5), slice(5, 7))])
    torch.testing.assert_close(network.study_logits(features, LENGTHS), network.classify(pooled))


def test_attention_sums_to_one_over_each_study() -> None:
    weights = classifier("attention").slice_weights(random_features(), LENGTHS)
    assert weights.shape == (7,)
    assert weights.min() > 0
    torch.testing.assert_close(torch.stack([part.sum() for part in weights.split(LENGTHS)]), torch.ones(3))


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_order_of_slices_within_a_study_does_not_matter(pooling: str) -> None:
    network = classifier(pooling)
    features = random_features()
    shuffled = features[[2, 0, 3, 1, 4, 6, 5]]
    torch.testing.assert_close(network.study_logits(shuffled, LENGTHS), network.study_logits(features, LENGTHS))


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_study_of_one_slice_has_that_slice_s_logits(pooling: str) -> None:
    network = classifier(pooling)
    x = torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(network.study_logits(network.features(x), [1, 1, 1]), network(x))


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_studies_do_not_mix(pooling: str) -> None:
    network = classifier(pooling)
    features = random_features()
    other = features.clone()
    other[:4] += 1
    before, after = network.study_logits(features, LENGTHS), network.study_logits(other, LENGTHS)
    assert torch.equal(before[1:], after[1:])
    assert not torch.allclose(before[0], after[0])


@pytest.mark.parametrize("lengths", [[4, 1], [4, 1, 3], [7, 0], [8, -1], []])
def test_lengths_that_do_not_fit_are_refused(lengths: list[int]) -> None:
    for pooling in ("max", "mean", "attention"):
        with pytest.raises(ConfigError, match="at least 1 and add up to 7 slices"):
            classifier(pooling).study_logits(random_features(), lengths)


def test_network_without_pooling_classifies_no_study() -> None:
    with pytest.raises(ConfigError, match="pooling must be 'attention', or for a study's logits 'max' or 'mean'"):
        classifier("none").study_logits(random_features(), LENGTHS)
    with pytest.raises(ConfigError, match="got 'mean'"):
        classifier("mean").slice_weights(random_features(), LENGTHS)


@pytest.mark.parametrize(("pooling", "has"), [("none", False), ("max", False), ("mean", False), ("attention", True)])
def test_only_attention_learns_more(pooling: str, has: bool) -> None:
    assert any(name.startswith("attention.") for name, _ in classifier(pooling).named_parameters()) == has
