"""Weights of a first convolution for another number of input channels."""

from __future__ import annotations

from torch import Tensor


def spread_grey(weight: Tensor, in_channels: int) -> Tensor:
    """Weights for any number of channels that respond to a grey picture as before.

    The mean over the old channels is repeated and scaled by old / new channels: a picture that is the same in every
    channel gives the same response. If the number of channels is the same, the weights are unchanged.

    Args:
        weight: Weights of a convolution, `(outputs, inputs, h, w)`.
        in_channels: New number of channels.

    Returns:
        Weights `(outputs, in_channels, h, w)`.
    """
    if weight.shape[1] == in_channels:
        return weight
    return weight.sum(dim=1, keepdim=True).expand(-1, in_channels, -1, -1) / in_channels


def spread_slices(weight: Tensor, slices: int) -> Tensor:
    """Weights for neighbouring slices as channels that respond to equal slices as before to a single one.

    Each image channel's weights are repeated over its slices and divided by their number, in the layout
    `(channel, slice)` of `ClassifierConfig.in_channels`.

    Args:
        weight: Weights of a convolution, `(outputs, channels, h, w)`.
        slices: Slices per image channel.

    Returns:
        Weights `(outputs, channels · slices, h, w)`.
    """
    return weight.repeat_interleave(slices, dim=1) / slices
