"""The moving average of the weights, followed by hand."""

from __future__ import annotations

import pytest
import torch
from medseg.training.averaging import averaged_copy
from torch import nn


def followed(decay: float, values: list[float]) -> list[float]:
    """What the rule makes of a weight that takes these values, one per update."""
    average = values[0]
    averages = [average]
    for count, value in enumerate(values[1:], start=1):
        keep = min(decay, (1 + count) / (10 + count))
        average = keep * average + (1 - keep) * value
        averages.append(average)
    return averages


@pytest.mark.parametrize("decay", [0.999, 0.5, 0.0])
def test_average_follows_the_weight_by_the_rule(decay: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    copy = averaged_copy(network, decay=decay)
    values = [float(value) for value in torch.randn(40, generator=torch.Generator().manual_seed(0))]
    for value, expected in zip(values, followed(decay, values), strict=True):
        with torch.no_grad():
            network.weight.fill_(value)
        copy.update_parameters(network)
        assert float(copy.module.weight.detach()) == pytest.approx(expected, abs=1e-6)
        assert float(network.weight.detach()) == pytest.approx(value)


def test_average_of_a_constant_is_that_constant() -> None:
    network = nn.Linear(3, 2)
    copy = averaged_copy(network, decay=0.9)
    for _ in range(5):
        copy.update_parameters(network)
    torch.testing.assert_close(copy.module.weight, network.weight)


def test_copy_shares_no_memory_with_the_network() -> None:
    network = nn.Linear(1, 1, bias=False)
    copy = averaged_copy(network, decay=0.9)
    copy.update_parameters(network)
    before = float(copy.module.weight.detach())
    with torch.no_grad():
        network.weight.add_(1.0)
    assert float(copy.module.weight.detach()) == before


def test_running_statistics_are_averaged_and_counters_copied() -> None:
    network = nn.BatchNorm1d(1)
    copy = averaged_copy(network, decay=0.999)
    values = [1.0, 4.0, -2.0]
    for count, value in enumerate(values, start=1):
        network.running_mean.fill_(value)
        network.num_batches_tracked.fill_(count)
        copy.update_parameters(network)
    assert float(copy.module.running_mean) == pytest.approx(followed(0.999, values)[-1])
    assert int(copy.module.num_batches_tracked) == 3
