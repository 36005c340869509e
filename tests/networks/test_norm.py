"""Normalisation layers against PyTorch's own."""

from __future__ import annotations

import pytest
import torch
from medseg.networks.norm import InstanceNorm, build_norm
from torch import Tensor, nn
from torch.nn import functional


def random_batch(spatial_dims: int, *, channels_last: bool) -> Tensor:
    """A batch whose channels have means and deviations of their own."""
    generator = torch.Generator().manual_seed(3)
    shape = (2, 5, 6, 7, 4)[: spatial_dims + 2]
    x = torch.randn(shape, generator=generator)
    ramp = torch.arange(1.0, 6.0).view(1, 5, *(1,) * spatial_dims)
    x = x * ramp + 10 * ramp
    layout = torch.channels_last_3d if spatial_dims == 3 else torch.channels_last
    return x.contiguous(memory_format=layout) if channels_last else x


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_instance_norm_has_torch_s_values_and_gradients(spatial_dims: int, channels_last: bool) -> None:
    x = random_batch(spatial_dims, channels_last=channels_last)
    norm = InstanceNorm(5)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2.0, 5))
        norm.bias.copy_(torch.linspace(-1.0, 1.0, 5))
    ours, theirs = x.clone().requires_grad_(), x.double().clone().requires_grad_()
    weight, bias = (p.detach().double().requires_grad_() for p in (norm.weight, norm.bias))
    out = norm(ours)
    expected = functional.instance_norm(theirs, weight=weight, bias=bias, eps=1e-5)
    slope = torch.randn(out.shape, generator=torch.Generator().manual_seed(4))
    out.backward(slope)
    expected.backward(slope.double())
    torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)
    for found, wanted in ((ours.grad, theirs.grad), (norm.weight.grad, weight.grad), (norm.bias.grad, bias.grad)):
        assert found is not None
        torch.testing.assert_close(found.double(), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_instance_norm_keeps_the_channels_last_layout(spatial_dims: int) -> None:
    layout = torch.channels_last_3d if spatial_dims == 3 else torch.channels_last
    out = InstanceNorm(5)(random_batch(spatial_dims, channels_last=True))
    assert out.is_contiguous(memory_format=layout)
    assert not out.is_contiguous()


def test_instance_norm_does_not_mix_samples() -> None:
    x = random_batch(3, channels_last=True)
    other = x.clone(memory_format=torch.preserve_format)
    other[1] *= -7.0
    norm = InstanceNorm(5)
    assert torch.equal(norm(x)[0], norm(other)[0])


def test_group_norm_has_at_most_eight_groups_and_batch_norm_tracks_statistics() -> None:
    assert build_norm("group", spatial_dims=3, channels=16).num_groups == 8
    assert build_norm("group", spatial_dims=3, channels=4).num_groups == 4
    assert isinstance(build_norm("batch", spatial_dims=2, channels=4), nn.BatchNorm2d)
    assert isinstance(build_norm("batch", spatial_dims=3, channels=4), nn.BatchNorm3d)


def test_no_norm_changes_nothing_and_learns_nothing() -> None:
    norm = build_norm("none", spatial_dims=3, channels=4)
    x = torch.randn(1, 4, 3, 3, 3)
    assert torch.equal(norm(x), x)
    assert not list(norm.parameters())
