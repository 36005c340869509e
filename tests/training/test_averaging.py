"""The moving average of the weights, followed by hand."""

from __future__ import annotations

import pytest
import torch
from medseg.training.averaging import averaged_copy
from torch import nn
from torch.optim.swa_utils import AveragedModel


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


def one_by_one(network: nn.Module, *, decay: float) -> AveragedModel:
    """PyTorch's own average with the same rule, one `lerp_` per tensor."""

    def update(averages: list[torch.Tensor], currents: list[torch.Tensor], count: torch.Tensor) -> None:
        share = 1 - min(decay, (1 + int(count)) / (10 + int(count)))
        for average, current in zip(averages, currents, strict=True):
            average.lerp_(current, share) if average.is_floating_point() else average.copy_(current)

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)


@pytest.mark.parametrize("decay", [0.999, 0.3])
def test_all_weights_at_once_are_bit_for_bit_those_of_one_after_the_other(decay: float) -> None:
    """Also where they lie channels last, are of another type, or are counters."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 5, 3), nn.Linear(5, 7).bfloat16())
    network = network.to(memory_format=torch.channels_last)
    ours, theirs = averaged_copy(network, decay=decay), one_by_one(network, decay=decay)
    for step in range(30):
        with torch.no_grad():
            for tensor in network.state_dict().values():
                tensor.fill_(step) if tensor.dtype == torch.int64 else tensor.add_(torch.randn_like(tensor))
        ours.update_parameters(network)
        theirs.update_parameters(network)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for (name, one), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
        assert one.stride() == other.stride()


def test_updates_are_counted_on_the_cpu_from_a_checkpoint_on() -> None:
    """A count on the device would be waited for in every step."""
    network = nn.Linear(2, 2).to("meta")
    copy = averaged_copy(network, decay=0.5)
    copy.load_state_dict({**copy.state_dict(), "n_averaged": torch.tensor(7)})
    for _ in range(3):
        copy.update_parameters(network)
    assert copy.n_averaged.device.type == "cpu"
    assert int(copy.n_averaged) == 10
