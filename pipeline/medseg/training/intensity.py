"""Intensity changes of chosen samples in a batch `(B, C, I, J, K)`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from medseg.training.share import Share

_Change = Callable[[Tensor, Tensor], Tensor]


def powered(image: Tensor, gamma: Tensor, chosen: Tensor) -> Tensor:
    """Raise intensities, scaled to [0, 1] per sample and channel, to a power, and restore mean and deviation."""

    def change(part: Tensor, value: Tensor) -> Tensor:
        axes = (2, 3, 4)
        low, high = part.amin(axes, keepdim=True), part.amax(axes, keepdim=True)
        unit = ((part - low) / (high - low).clamp_min(1e-6)).pow(value)
        deviation, mean = torch.std_mean(part, axes, keepdim=True, correction=0)
        new_deviation, new_mean = torch.std_mean(unit, axes, keepdim=True, correction=0)
        return (unit - new_mean) / new_deviation.clamp_min(1e-6) * deviation + mean

    return _on_chosen(image, gamma, chosen, change)


def contrasted(image: Tensor, factor: Tensor, shift: Tensor, chosen: Tensor) -> Tensor:
    """Stretch intensities about their mean and shift them."""

    def change(part: Tensor, value: Tensor) -> Tensor:
        mean = part.mean((2, 3, 4), keepdim=True)
        moved = shift[chosen].to(part).view(-1, 1, 1, 1, 1)
        return (part - mean) * value + mean + moved

    return _on_chosen(image, factor, chosen, change)


def noised(
    image: Tensor, deviation: Tensor, chosen: Tensor, generator: torch.Generator, *, share: Share | None = None
) -> Tensor:
    """Add Gaussian noise from a generator on the image's device.

    Args:
        image: Batch, or a share of one.
        deviation: Standard deviation of every sample of the whole batch.
        chosen: Samples of the whole batch that get noise.
        generator: Generator, from which the noise of the whole batch is drawn.
        share: Share that the image is; the whole if not given.
    """
    own = share.own if share else slice(None)
    before = int(chosen[: own.start or 0].sum())

    def change(part: Tensor, value: Tensor) -> Tensor:
        shape = (int(chosen.sum()), *part.shape[1:])
        noise = torch.randn(shape, generator=generator, device=part.device, dtype=part.dtype)
        return part + noise[before : before + len(part)] * value

    return _on_chosen(image, deviation[own], chosen[own], change)


def blurred(image: Tensor, deviation_voxels: Tensor, chosen: Tensor) -> Tensor:
    """Convolve with a Gaussian along every axis longer than one voxel."""

    def change(part: Tensor, value: Tensor) -> Tensor:
        offsets = torch.arange(-3, 4, device=part.device, dtype=part.dtype)
        kernels = torch.exp(-0.5 * (offsets / value.view(-1, 1)) ** 2)
        kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(part.shape[1], dim=0)
        flat = part.reshape(1, -1, *part.shape[2:])  # (1, B·C, I, J, K)
        for axis in (axis for axis in range(3) if part.shape[axis + 2] > 1):
            size, padding = [1, 1, 1], [0, 0, 0, 0, 0, 0]
            size[axis] = len(offsets)
            padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = 3
            padded = functional.pad(flat, padding, mode="replicate")
            flat = functional.conv3d(padded, kernels.view(-1, 1, *size), groups=flat.shape[1])
        return flat.view(part.shape)

    return _on_chosen(image, deviation_voxels, chosen, change)


def lowered(image: Tensor, factor: Tensor, chosen: Tensor) -> Tensor:
    """Keep only a share of the voxels along every axis, and interpolate back."""

    def change(part: Tensor, value: Tensor) -> Tensor:
        return torch.cat(
            [_lower_sample(sample[None], float(f)) for sample, f in zip(part, value.view(-1), strict=True)]
        )

    return _on_chosen(image, factor, chosen, change)


def _lower_sample(sample: Tensor, factor: float) -> Tensor:
    size = [max(1, round(n * factor)) for n in sample.shape[2:]]
    small = functional.interpolate(sample, size=size, mode="nearest-exact")
    return functional.interpolate(small, size=list(sample.shape[2:]), mode="trilinear", align_corners=False)


def _on_chosen(image: Tensor, values: Tensor, chosen: Tensor, change: _Change) -> Tensor:
    """Apply a change to the chosen samples only."""
    index = torch.nonzero(chosen).flatten()
    if len(index) == 0:
        return image
    on_device = index.to(image.device)
    part = change(image.index_select(0, on_device), values[index].to(image).view(-1, 1, 1, 1, 1))
    return image.index_copy(0, on_device, part)
