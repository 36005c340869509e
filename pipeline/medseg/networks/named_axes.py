"""Which axes of a network's tensors run over the image's channels and over the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from medseg.configuration import Config

Meaning = Literal["channels", "labels"]
_COUNTS: dict[Meaning, str] = {"channels": "in_channels", "labels": "out_channels"}


@dataclass(frozen=True, slots=True)
class NamedAxis:
    """An axis whose length depends on a number of named channels.

    Attributes:
        axis: Index of the axis.
        meaning: What is counted: channels of the image, or labels.
        is_plain: Whether entry n of the axis belongs to channel n; otherwise the order of its entries is not known.
    """

    axis: int
    meaning: Meaning
    is_plain: bool


NamedAxes = Mapping[str, tuple[NamedAxis, ...]]


def named_axes(build: Callable[[Any], nn.Module], config: Config) -> dict[str, tuple[NamedAxis, ...]]:
    """The named axes of every tensor that has one, found by building the network with one and two channels more.

    So that no layer has to be known by its name: first convolutions and their shortcuts, heads of every scale, plain or
    transposed, with their biases.

    Args:
        build: Function that builds the network.
        config: Shape of the network.
    """
    shapes = _shapes(build, config)
    found: dict[str, list[NamedAxis]] = {}
    for meaning, field in _COUNTS.items():
        count = getattr(config, field)
        wider = {more: _shapes(build, _with(config, field, count + more)) for more in (2, 1)}
        for name, shape in shapes.items():
            for more, others in wider.items():  # a shortcut may be missing where the widths happen to be equal
                if name in others:
                    found[name] = [entry for entry in found.get(name, []) if entry.meaning != meaning]
                    found[name] += _differing(shape, others[name], meaning=meaning, count=count, more=more)
    return {name: tuple(axes) for name, axes in found.items() if axes}


def _differing(shape: torch.Size, wider: torch.Size, *, meaning: Meaning, count: int, more: int) -> list[NamedAxis]:
    pairs = enumerate(zip(shape, wider, strict=False))
    return [
        NamedAxis(axis, meaning, is_plain=size == count and other == count + more)
        for axis, (size, other) in pairs
        if size != other
    ]


def _shapes(build: Callable[[Any], nn.Module], config: Config) -> dict[str, torch.Size]:
    with torch.random.fork_rng(devices=[]):
        return {name: tensor.shape for name, tensor in build(config).state_dict().items()}


def _with(config: Config, field: str, count: int) -> Config:
    return type(config).model_validate(config.model_dump() | {field: count})
