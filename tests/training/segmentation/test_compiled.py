"""Compiling a network changes how fast it computes, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from medseg.training.segmentation.compiled import compiled_forward, is_worth_compiling
from torch import Tensor, nn

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


class Noisy(nn.Module):
    """A network that draws random numbers and keeps running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.Dropout(0.5), nn.Conv3d(4, 2, 1)
        )

    def scales(self, image: Tensor) -> list[Tensor]:
        logits = self.layers(image)
        return [logits, logits[..., ::2, ::2, ::2]]


@pytest.fixture
def network() -> Noisy:
    torch.manual_seed(0)
    return Noisy().train()


def rehearse(forward: Callable[[Tensor], Sequence[Tensor]]) -> Sequence[Tensor]:
    return forward(torch.zeros(2, 1, 8, 6, 4))


def test_compiled_pass_gives_the_same_logits_and_gradients(network: Noisy) -> None:
    image = torch.randn(2, 1, 8, 6, 4)
    forward = compiled_forward(network.scales, network, rehearse, backend="aot_eager")
    assert forward is not network.scales
    found = []
    for one in (network.scales, forward):
        torch.manual_seed(3)
        scales = one(image)
        torch.autograd.backward([scale.square().mean() for scale in scales])
        found.append([*scales, *(parameter.grad.clone() for parameter in network.parameters())])  # type: ignore[union-attr]  # there are gradients now
        network.zero_grad()
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_rehearsal_leaves_weights_statistics_gradients_and_random_numbers(network: Noisy) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    compiled_forward(network.scales, network, rehearse, backend="aot_eager")
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_machine_that_cannot_compile_trains_as_before_and_says_so(
    network: Noisy, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> Callable[..., object]:
        raise RuntimeError("no C++ compiler found")

    original = network.scales
    assert compiled_forward(original, network, rehearse, backend=broken) is original
    assert "trained without torch.compile" in caplog.text
    assert "no C++ compiler found" in caplog.text


def test_error_of_the_network_itself_is_not_hidden(network: Noisy) -> None:
    def wrong(forward: Callable[[Tensor], Sequence[Tensor]]) -> Sequence[Tensor]:
        return forward(torch.zeros(2, 3, 8, 6, 4))

    with pytest.raises(Exception, match="channels"):
        network.scales(torch.zeros(2, 3, 8, 6, 4))
    forward = compiled_forward(network.scales, network, wrong, backend="aot_eager")
    with pytest.raises(RuntimeError, match="channels"):
        forward(torch.zeros(2, 3, 8, 6, 4))


@pytest.mark.parametrize(
    ("device", "seconds", "steps", "expected"),
    [
        (CUDA, 180.0, 0, True),
        (CUDA, 60.0, 0, False),
        (CUDA, None, 10_000, True),
        (CUDA, None, 1000, False),
        (CPU, 36_000.0, 0, False),
        (CPU, None, 100_000, False),
    ],
)
def test_long_trainings_on_a_gpu_alone_are_compiled(
    device: torch.device, seconds: float | None, steps: int, expected: bool
) -> None:
    assert is_worth_compiling(device, seconds=seconds, steps=steps) == expected
