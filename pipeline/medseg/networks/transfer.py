"""Weights of an earlier network as the start of another: what fits by name, shape and meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medseg.networks.name_match import NameMatch
from medseg.networks.named_axes import NamedAxes, NamedAxis


@dataclass(frozen=True, slots=True)
class Transfer:
    """What became of every tensor.

    Attributes:
        channels: Match of the image's channels.
        labels: Match of the labels.
        whole: Tensors that were taken whole.
        partly: Numbers that were taken of tensors of which only some entries were.
        fresh: Reason for each tensor of which nothing was taken.
        unused: Earlier tensors that the network does not have.
        taken: Parameters that were taken.
        parameters: Parameters of the network.
        has_kernels: Whether anything but norms and biases was taken.
    """

    channels: NameMatch
    labels: NameMatch
    whole: tuple[str, ...]
    partly: dict[str, int]
    fresh: dict[str, str]
    unused: tuple[str, ...]
    taken: int
    parameters: int
    has_kernels: bool

    @property
    def share(self) -> float:
        """Share of the parameters that was taken, from 0 to 1."""
        return self.taken / max(1, self.parameters)


@torch.no_grad()
def take_weights(
    network: nn.Module,
    weights: Mapping[str, Tensor],
    *,
    channels: NameMatch,
    labels: NameMatch,
    axes: NamedAxes,
) -> Transfer:
    """Put weights into a network wherever they fit; what does not fit stays as it is.

    A tensor is taken if both networks have it by the same name and in the same shape. Along axes over channels of the
    image or over labels, only entries that mean the same are taken, each into its new place.

    Args:
        network: Network to fill, on any device.
        weights: Tensors of the earlier network by name.
        channels: Match of the image's channels.
        labels: Match of the labels.
        axes: Named axes of the network's tensors; a tensor without any is taken whole or not at all.
    """
    matches = {"channels": channels, "labels": labels}
    own = network.state_dict()
    taken: dict[str, int] = {}
    fresh: dict[str, str] = {}
    for name, target in own.items():
        steps = [(entry, matches[entry.meaning]) for entry in axes.get(name, ())]
        reason = _misfit(target, weights.get(name), steps)
        if reason is None:
            taken[name] = _copy(target, weights[name], _moves(steps))
        if not taken.get(name):
            fresh[name] = reason or f"no {steps[0][0].meaning} in common"
    taken = {name: count for name, count in taken.items() if count}
    parameters = {name: parameter.numel() for name, parameter in network.named_parameters()}
    return Transfer(
        channels=channels,
        labels=labels,
        whole=tuple(name for name, count in taken.items() if count == own[name].numel()),
        partly={name: count for name, count in taken.items() if count < own[name].numel()},
        fresh=fresh,
        unused=tuple(name for name in weights if name not in own),
        taken=sum(count for name, count in taken.items() if name in parameters),
        parameters=sum(parameters.values()),
        has_kernels=any(own[name].ndim > 1 for name in taken),
    )


def _misfit(target: Tensor, source: Tensor | None, steps: Sequence[tuple[NamedAxis, NameMatch]]) -> str | None:
    """Reason why a tensor cannot be taken; None if it can."""
    if source is None:
        return "not in the earlier network"
    free = {entry.axis for entry, _ in steps if entry.is_plain}
    lengths = {entry.axis: (len(match.wanted), len(match.given)) for entry, match in steps if entry.is_plain}
    differing = source.ndim != target.ndim or any(
        (target.shape[axis], source.shape[axis]) != lengths[axis]
        if axis in free
        else target.shape[axis] != source.shape[axis]
        for axis in range(target.ndim)
    )
    if differing:
        return f"has the shape {tuple(target.shape)}, and {tuple(source.shape)} in the earlier network"
    unclear = [entry.meaning for entry, match in steps if not entry.is_plain and not match.is_same]
    return f"the order of its {unclear[0]} is not known" if unclear else None


def _moves(steps: Sequence[tuple[NamedAxis, NameMatch]]) -> list[tuple[int, tuple[tuple[int, int], ...]]]:
    """Axes along which entries change place, last first, so that taking an entry leaves the places of the others."""
    moves = [(entry.axis, match.pairs) for entry, match in steps if entry.is_plain and not match.is_same]
    return sorted(moves, reverse=True)


def _copy(target: Tensor, source: Tensor, moves: Sequence[tuple[int, tuple[tuple[int, int], ...]]]) -> int:
    """Copy the entries that move, and everything along the other axes; the number of values."""
    if not moves:
        target.copy_(source)
        return target.numel()
    (axis, pairs), rest = moves[0], moves[1:]
    return sum(_copy(target.select(axis, new), source.select(axis, old), rest) for new, old in pairs)
