"""Feature maps of a network on an image."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.networks.lens.evaluating import evaluating


def feature_maps(network: nn.Module, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """What some of a network's modules give out for a batch, in evaluation mode.

    A UNet's stage n of the encoder is `encoder.stages.n`, which is also what its skip n carries; of the decoder
    `decoder.stages.n`, finest first.

    Args:
        network: Left as it is.
        image: Batch `(B, C, …)`.
        names: Of modules that give out one tensor, as in `network.named_modules()`.

    Returns:
        Copies by name, in the order asked for.

    Raises:
        ConfigError: If there is no such module, or it gives out no tensor or was not passed.
    """
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            near = difflib.get_close_matches(name, modules, n=3)
            raise ConfigError(f"feature maps: names must be modules of the network, got {name!r}; near: {near}")
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
        raise ConfigError(f"feature maps: modules must give out one tensor, got {missing}; name what is inside them")
    return {name: maps[name] for name in names}


def _record(maps: dict[str, Tensor], name: str, module: nn.Module, inputs: object, output: object) -> None:
    """Keep a copy: an activation behind the module may work in place."""
    if isinstance(output, Tensor):
        maps[name] = output.detach().clone()
