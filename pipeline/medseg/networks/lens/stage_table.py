"""A network stage by stage: grid, field and cost."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.flop_counter import FlopCounterMode

from medseg.networks.cost import count_multiply_adds, count_parameters
from medseg.networks.evaluating import evaluating
from medseg.networks.lens.feature_maps import feature_maps
from medseg.networks.lens.probe import convolutional_part
from medseg.networks.lens.receptive_field import Field, receptive_fields
from medseg.networks.lens.trace import trace
from medseg.networks.segmentation.unet import UNet


@dataclass(frozen=True, slots=True)
class Stage:
    """Part of a network whose feature maps have one grid.

    Attributes:
        name: Name of the stage: `encoder 0` and `decoder 0` are a UNet's finest; other networks' stages are named by
            their scale, such as `1/4`. The last, `head`, is everything that turns features into logits.
        channels: Channels of the stage's last feature map; for the head, the number of logits.
        shape: Voxels of that map; empty for a head without a map.
        field: Receptive field of that map; None for the head.
        parameters: Number of trainable parameters.
        multiply_adds: Multiply-adds for one image.
    """

    name: str
    channels: int
    shape: tuple[int, ...]
    field: Field | None
    parameters: int
    multiply_adds: int


def stage_table(network: nn.Module, shape: Sequence[int]) -> tuple[Stage, ...]:
    """Grid, field and cost of each stage of a network for an image of a shape.

    Args:
        network: UNet, slice classifier, or a module of PyTorch's layers that returns a feature map. Its weights are not
            used.
        shape: Voxels of the image, without batch and channels.

    Returns:
        Stages in the order in which the image passes them; parameters and multiply-adds add up to the network's.
    """
    subject = copy.deepcopy(network).to("meta")
    part = convolutional_part(subject)
    prefix = "" if part is subject else "body."
    first = next(module for module in subject.modules() if isinstance(module, _ConvNd))
    image = torch.zeros((1, first.in_channels, *shape), device="meta")
    fields = receptive_fields(part).modules
    stages = _layers_by_stage(part, fields)
    last = {name: _last_module(name, part, fields) for name in stages}
    maps = feature_maps(subject, image, [prefix + name for name in last.values()])
    costs = _multiply_adds_by_layer(subject, image)
    rows = [
        Stage(
            name=name,
            channels=maps[prefix + last[name]].shape[1],
            shape=tuple(maps[prefix + last[name]].shape[2:]),
            field=fields[last[name]],
            parameters=sum(count_parameters(part.get_submodule(layer)) for layer in layers),
            multiply_adds=sum(costs.get(prefix + layer, 0) for layer in layers),
        )
        for name, layers in stages.items()
    ]
    return (*rows, *_head(subject, image, rows))


def _layers_by_stage(part: nn.Module, fields: dict[str, Field]) -> dict[str, list[str]]:
    """Names of the layers with parameters of each stage, in the order of the forward pass; heads are left out."""
    stages: dict[str, list[str]] = {}
    current = ""
    for layer, module in trace(part).modules.items():
        if not any(True for _ in module.parameters()) or ".heads." in f".{layer}":
            continue
        # Squeeze and excitation has no grid of its own, and counts towards the stage that holds it.
        current = _stage_of(layer, part, fields) or current
        stages.setdefault(current, []).append(layer)
    return stages


def _stage_of(name: str, part: nn.Module, fields: dict[str, Field]) -> str:
    """Stage of a module: in a UNet from its name, else the scale of its block, which may be coarser than its own."""
    parts = name.split(".")
    if isinstance(part, UNet):
        return f"{parts[0]} {parts[2]}"
    for length in range(len(parts) - 1, 0, -1):
        block = ".".join(parts[:length])
        if block in fields and type(part.get_submodule(block)) is not nn.Sequential:
            return _scale(fields[block])
    return _scale(fields[name]) if name in fields else ""


def _last_module(stage: str, part: nn.Module, fields: dict[str, Field]) -> str:
    """Name of the module that returns the stage's last feature map."""
    if isinstance(part, UNet):
        side, number = stage.split()
        return f"{side}.stages.{number}"
    inside = [name for name in fields if name and _scale(fields[name]) == stage == _stage_of(name, part, fields)]
    return inside[-1]


def _scale(field: Field) -> str:
    jumps = [str(jump) for jump in field.jump]
    return f"1/{jumps[0]}" if len(set(jumps)) == 1 else f"1/({'×'.join(jumps)})"


def _multiply_adds_by_layer(network: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """Multiply-adds of each module by name, with everything inside it."""
    with evaluating(network), FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    root = type(network).__name__ + "."
    counts = counter.get_flop_counts().items()
    return {name.removeprefix(root): sum(each.values()) // 2 for name, each in counts if name.startswith(root)}


def _head(network: nn.Module, image: torch.Tensor, rows: Sequence[Stage]) -> list[Stage]:
    """The rest of the network; empty if it returns its last feature map."""
    parameters = count_parameters(network) - sum(row.parameters for row in rows)
    multiply_adds = count_multiply_adds(network, image.shape) - sum(row.multiply_adds for row in rows)
    if not parameters:
        return []
    with evaluating(network), torch.no_grad():
        logits = network(image)
    return [Stage("head", logits.shape[1], tuple(logits.shape[2:]), None, parameters, multiply_adds)]
