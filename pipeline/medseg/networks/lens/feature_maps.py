"""Feature maps of a network on an image."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.networks.evaluating import evaluating


def feature_maps(network: nn.Module, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Outputs of some of a network's modules for a batch, in evaluation mode.

    Stage n of a UNet's encoder is `encoder.stages.n`, which is also the content of skip n; stage n of the decoder is
    `decoder.stages.n`, finest first.

    Args:
        network: Network, left unchanged.
        image: Batch `(B, C, …)`.
        names: Names of modules with one tensor as output, as in `network.named_modules()`.

    Returns:
        Copies of the outputs by name, in the given order.

    Raises:
        ConfigError: If there is no such module, or its output is not one tensor, or it is never called.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            near = difflib.get_close_matches(name, modules, n=3)
            fact = f"feature maps: names must be modules of the network, got {name!r}"
            raise ConfigError(fact, remedy=f"near: {near}" if near else "choose from network.named_modules()")
    maps: dict[str, Tensor] = {}
    hooks = [modules[name].register_forward_hook(partial(_record, maps, name)) for name in names]
    try:
        with evaluating(network), torch.no_grad():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    missing = [name for name in names if name not in maps]
    if missing:
        fact = f"feature maps: modules must give out one tensor, got {missing}"
        raise ConfigError(fact, remedy="name modules inside or around them that give out one tensor")
    return {name: maps[name] for name in names}


def _record(maps: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: object) -> None:
    """Keep a copy, because an activation behind the module may work in place."""
    if isinstance(output, Tensor):
        maps[name] = output.detach().clone()
