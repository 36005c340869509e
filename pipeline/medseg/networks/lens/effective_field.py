"""Effective receptive fields: the part of the image that has a real effect on a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from medseg.errors import ConfigError
from medseg.networks.lens.probe import convolutional_part, with_fixed_statistics, with_positive_weights
from medseg.networks.lens.receptive_field import ReceptiveFields, receptive_fields
from medseg.records import Array

TWO_SIGMA = 0.9545
"""Share of a Gaussian within two standard deviations of its mean."""


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """Distribution of the gradient of one unit over the image.

    Attributes:
        map: Mean size of the gradient at each voxel, shape of the image; it sums to 1, or is 0 everywhere if no
            gradient arrives.
        size: Voxels per axis that hold 95.45 % of the map, as four standard deviations of a Gaussian do: from the
            2.275th to the 97.725th percentile of its sum over the other axes, in fractions of voxels. NaN without a
            gradient.
        unit: Place of the unit in the feature map.
        theory: First and last voxel per axis that the unit can see; None where the network has no theoretical field, as
            a transformer.
        is_cut: Whether the unit can see beyond the image along each axis, so that `size` may be too small; without a
            theory, whether the gradient arrives at the image's ends.
    """

    map: Array
    size: tuple[float, ...]
    unit: tuple[int, ...]
    theory: tuple[tuple[int, int], ...] | None
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
    """Send one unit's gradient back to images of noise, and measure where it arrives.

    The network runs in evaluation mode. The statistics of instance and group norms connect every voxel to every other;
    they keep their values here but pass no gradient, so the field is that of the convolutions and lies within the
    theoretical one. For a classifier it is the field of the last feature map.

    Args:
        network: Network, trained or not; a copy is used.
        shape: Voxels of the image, without batch and channels; at least the theoretical field, to show it whole.
        samples: Number of images of Gaussian noise, each with random weights of the unit's channels.
        seed: Seed of the noise.
        layer: Name of the module with the unit, within the body of a classifier; empty for the network itself.
        unit: Place of the unit in the module's output; None is the middle.

    Raises:
        ConfigError: If the network has no such layer or unit.

    Source: Luo et al. 2016, https://arxiv.org/abs/1701.04128, sections 2 and 3.
    """
    fields = _fields_of(network)
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
    theory = fields.modules[layer].interval(place) if fields else None
    profiles = [density.sum(axis=_others(axis, density.ndim)) for axis in range(density.ndim)]
    return EffectiveField(
        map=density,
        size=tuple(_extent(profile) for profile in profiles),
        unit=place,
        theory=theory,
        is_cut=tuple(first < 0 or last >= size for (first, last), size in zip(theory, shape, strict=True))
        if theory
        else tuple(bool(profile[0] > 0 or profile[-1] > 0) for profile in profiles),
    )


def measured_support(
    network: nn.Module, shape: Sequence[int], *, layer: str = "", unit: Sequence[int] | None = None
) -> tuple[tuple[int, int], ...]:
    """First and last voxel per axis that a unit's value depends on, measured instead of calculated.

    In a copy all weights are set to one positive number, in double precision, norms and activations are left out, and
    maxima become means: no gradient can vanish, so it arrives wherever the architecture allows.

    Args:
        network: Network to measure; of a classifier, only the body is used.
        shape: Voxels of the image.
        layer: Name of the module with the unit, within the body of a classifier; empty for the network itself.
        unit: Place of the unit in the module's output; None is the middle.

    Raises:
        ConfigError: If the unit sees no part of the image.
    """
    subject = with_positive_weights(convolutional_part(network)).requires_grad_(False)
    device = next(subject.parameters()).device
    image = torch.ones((1, _in_channels(subject), *shape), dtype=torch.float64, device=device)
    _, gradient = _gradient(subject, image, layer, unit, None)
    reached = gradient.abs().sum(dim=(0, 1)).nonzero()
    if not len(reached):
        raise ConfigError(f"receptive field: the unit must see part of an image of {tuple(shape)}, got none")
    return tuple((int(low), int(high)) for low, high in zip(reached.amin(dim=0), reached.amax(dim=0), strict=True))


def _fields_of(network: nn.Module) -> ReceptiveFields | None:
    """The theoretical fields; None where they cannot be derived, as of a transformer."""
    try:
        return receptive_fields(network)
    except ConfigError:
        return None


def _gradient(
    subject: nn.Module, image: Tensor, layer: str, unit: Sequence[int] | None, generator: torch.Generator | None
) -> tuple[tuple[int, ...], Tensor]:
    """Place of the unit, and the gradient of the sum of its channels, or of a random mixture if given a generator."""
    with torch.enable_grad():
        output = _output_of(subject, image.requires_grad_(), layer)
        place = tuple(unit) if unit is not None else tuple(size // 2 for size in output.shape[2:])
        if len(place) != output.ndim - 2 or any(not 0 <= n < s for n, s in zip(place, output.shape[2:], strict=True)):
            raise ConfigError(
                f"receptive field: unit must lie in an output of {tuple(output.shape[2:])}, got {place}",
                remedy="choose another",
            )
        channels = output[0].movedim(0, -1)[place]  # (C,)
        weights = torch.ones(len(channels)) if generator is None else torch.randn(len(channels), generator=generator)
        (gradient,) = torch.autograd.grad(channels, image, weights.to(channels))
    return place, gradient


def _output_of(subject: nn.Module, image: Tensor, layer: str) -> Tensor:
    """A copy of a module's output, because an activation behind it may work in place."""
    if layer not in dict(subject.named_modules()):
        raise ConfigError(
            f"receptive field: layer must be a module that gives out one feature map, got {layer!r}",
            remedy="choose one of receptive_fields(network).modules",
        )
    kept: list[Tensor] = []
    hook = subject.get_submodule(layer).register_forward_hook(lambda _, inputs, output: kept.append(output.clone()))
    try:
        subject(image)
    finally:
        hook.remove()
    return kept[-1]


def _extent(profile: Array) -> float:
    """Width in voxels of the middle 95.45 % of a profile that sums to 1, with each voxel's share spread evenly."""
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
