"""Instance normalisation of large volumes against float64."""

from __future__ import annotations

import pytest
import torch
from medseg.networks.exact_norm import ExactInstanceNorm, moments
from torch.nn import functional

LAST = torch.channels_last_3d


@pytest.mark.parametrize("mean", [0.0, 3.0, 1000.0])  # in standard deviations
@pytest.mark.parametrize("shape", [(40, 45, 41), (3, 4, 5)])
def test_volume_is_normalised_as_in_float64(shape: tuple[int, int, int], mean: float) -> None:
    x = torch.randn(1, 6, *shape, generator=torch.Generator().manual_seed(0)) + mean
    expected = functional.instance_norm(x.double()).float()
    with torch.inference_mode():
        found = ExactInstanceNorm(6).eval()(x.to(memory_format=LAST))
    rounding = max(6e-6, 2e-7 * mean)  # of the sums, or of the input itself
    torch.testing.assert_close(found, expected, rtol=0, atol=rounding)
    assert found.is_contiguous(memory_format=LAST)


def test_samples_are_normalised_apart_with_their_own_scale_and_shift() -> None:
    norm = ExactInstanceNorm(2).eval()
    norm.weight.data[:], norm.bias.data[:] = torch.tensor([2.0, 0.5]), torch.tensor([1.0, -1.0])
    x = torch.randn(3, 2, 5, 6, 7, generator=torch.Generator().manual_seed(1)) * torch.arange(1, 4).view(3, 1, 1, 1, 1)
    expected = functional.instance_norm(x, weight=norm.weight, bias=norm.bias)
    torch.testing.assert_close(norm(x.to(memory_format=LAST)), expected)
    torch.testing.assert_close(norm(x), expected)


def test_moments_of_a_constant_are_exact() -> None:
    mean, variance = moments(torch.full((5000, 2), 7.0))
    assert mean.tolist() == [7, 7]
    assert variance.abs().max() < 1e-9


def test_training_keeps_its_gradients() -> None:
    norm = ExactInstanceNorm(2).train()
    x = torch.randn(1, 2, 4, 4, 4).to(memory_format=LAST).requires_grad_()
    norm(x).square().sum().backward()
    assert x.grad is not None
