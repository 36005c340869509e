"""Effective receptive fields: how much of the image a unit really listens to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from medseg.errors import ConfigError
from medseg.networks.lens.probe import convolutional_part, with_fixed_statistics, with_positive_weights
from medseg.networks.lens.receptive_field import receptive_fields
from medseg.records import Array

TWO_SIGMA = 0.9545
"""Share of a Gaussian within two standard deviations of its mean."""


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """Where the gradient of one unit goes.

    Attributes:
        map: Mean size of the gradient at each voxel, shape of the image; it sums to 1, or is 0 everywhere where no
            gradient arrives.
        size: Voxels per axis that hold 95.45 % of it, as the four standard deviations of a Gaussian do: from the
            2.275th to the 97.725th percentile of its sum over the other axes, parts of voxels included. NaN without
            a gradient.
        unit: Which unit of the feature map.
        theory: First and last voxel per axis that it can see.
        is_cut: Per axis, whether it can see beyond the image, so that `size` may be too small.
    """

    map: Array
    size: tuple[float, ...]
    unit: tuple[int, ...]
    theory: tuple[tuple[int, int], ...]
    is_cut: tuple[bool, ...]

    def size_mm(self, spacing_mm: Sequence[float]) -> tuple[float, ...]:
        """The size in millimetres."""
        return tuple(size * spacing for size, spacing in zip(self.size, spacing_mm, strict=True))


def effective_field(
    network: nn.Module,
    shape: Sequence[int],
    *,
    samples: int = 8,
    seed: int = 0,
    layer: str = "",
    unit: Sequence[int] | None = None,
) -> EffectiveField:
    """Send one unit's gradient back to images of noise, and see where it arrives.

    The network runs in evaluation mode. Instance and group norms, whose statistics connect every voxel to every
    other, keep their values but pass no gradient through mean and deviation; so the field is that of the convolutions,
    and lies within the theoretical one. Of a classifier it is that of the last feature map.

    Args:
        network: Fresh or trained; a copy is used.
        shape: Voxels of the image, without batch and channels; as large as the theoretical field shows it whole.
        samples: Images of Gaussian noise, each with random weights of the unit's channels.
        seed: Of the noise.
        layer: Name of the module whose output is looked at, within the body of a classifier; empty is the network's.
        unit: Where in it; None is its middle.

    Raises:
        ConfigError: If the layer or the unit is none of the network's.

    Source: Luo et al. 2016, https://arxiv.org/abs/1701.04128, sections 2 and 3.
    """
    fields = receptive_fields(network)
    subject = with_fixed_statistics(convolutional_part(network)).requires_grad_(False)
    device = next(subject.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(tuple(shape), dtype=torch.float64)
    for _ in range(samples):
        image = torch.randn((1, _in_channels(subject), *shape), generator=generator).to(device)
        place, gradient = _gradient(subject, image, layer, unit, generator)
        total += gradient.abs().sum(dim=(0, 1)).double().cpu()
    mass = float(total.sum())
    density = (total / mass if mass > 0 else total).numpy()
    theory = fields.modules[layer].interval(place)
    return EffectiveField(
        map=density,
        size=tuple(_extent(density.sum(axis=_others(axis, density.ndim))) for axis in range(density.ndim)),
        unit=place,
        theory=theory,
        is_cut=tuple(first < 0 or last >= size for (first, last), size in zip(theory, shape, strict=True)),
    )


def measured_support(
    network: nn.Module, shape: Sequence[int], *, layer: str = "", unit: Sequence[int] | None = None
) -> tuple[tuple[int, int], ...]:
    """First and last voxel per axis that a unit's value depends on, tried rather than calculated.

    All weights of a copy are made the same positive number, in double precision, norms and activations are left out and
    maxima are made means: no gradient can vanish on its way, so it arrives wherever the architecture lets it.

    Args:
        network: A classifier's body is taken, any other network whole.
        shape: Voxels of the image.
        layer: Name of the module whose output is looked at, within the body of a classifier; empty is the network's.
        unit: Where in it; None is its middle.

    Raises:
        ConfigError: If the unit sees nothing of the image.
    """
    subject = with_positive_weights(convolutional_part(network)).requires_grad_(False)
    device = next(subject.parameters()).device
    image = torch.ones((1, _in_channels(subject), *shape), dtype=torch.float64, device=device)
    _, gradient = _gradient(subject, image, layer, unit, None)
    reached = gradient.abs().sum(dim=(0, 1)).nonzero()
    if not len(reached):
        raise ConfigError(f"receptive field: the unit must see part of an image of {tuple(shape)}, got none")
    return tuple((int(low), int(high)) for low, high in zip(reached.amin(dim=0), reached.amax(dim=0), strict=True))


def _gradient(
    subject: nn.Module, image: Tensor, layer: str, unit: Sequence[int] | None, generator: torch.Generator | None
) -> tuple[tuple[int, ...], Tensor]:
    """Which unit it is, and the gradient of its channels' sum, or with a generator of a random mixture of them."""
    with torch.enable_grad():
        output = _output_of(subject, image.requires_grad_(), layer)
        place = tuple(unit) if unit is not None else tuple(size // 2 for size in output.shape[2:])
        if len(place) != output.ndim - 2 or any(not 0 <= n < s for n, s in zip(place, output.shape[2:], strict=True)):
            raise ConfigError(
                f"receptive field: unit must lie in an output of {tuple(output.shape[2:])}, got {place}; choose another"
            )
        channels = output[0].movedim(0, -1)[place]  # (C,)
        weights = torch.ones(len(channels)) if generator is None else torch.randn(len(channels), generator=generator)
        (gradient,) = torch.autograd.grad(channels, image, weights.to(channels))
    return place, gradient


def _output_of(subject: nn.Module, image: Tensor, layer: str) -> Tensor:
    """What a module gives out; a copy, as an activation behind it may work in place."""
    if layer not in dict(subject.named_modules()):
        raise ConfigError(
            f"receptive field: layer must be a module that gives out one feature map, got {layer!r}; choose one of "
            "receptive_fields(network).modules"
        )
    kept: list[Tensor] = []
    hook = subject.get_submodule(layer).register_forward_hook(lambda _, inputs, output: kept.append(output.clone()))
    try:
        subject(image)
    finally:
        hook.remove()
    return kept[-1]


def _extent(profile: Array) -> float:
    """Width of the middle 95.45 % of a profile that sums to 1, in voxels, as if each voxel's share were even in it."""
    rising = np.concatenate([[0.0], np.cumsum(profile)])
    if not rising[-1] > 0:
        return float("nan")
    edges = [(1 - TWO_SIGMA) / 2, (1 + TWO_SIGMA) / 2]
    low, high = np.interp(np.array(edges) * rising[-1], rising, np.arange(len(rising)))
    return float(high - low)


def _others(axis: int, axes: int) -> tuple[int, ...]:
    return tuple(other for other in range(axes) if other != axis)


def _in_channels(network: nn.Module) -> int:
    return next(module.in_channels for module in network.modules() if isinstance(module, _ConvNd))
