"""A UNet without the information of its skip connections."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError
from medseg.networks.segmentation.unet import UNet


def without_skips(network: UNet, *, stages: Collection[int] | None = None) -> UNet:
    """A copy with a decoder that gets zeros instead of skips, to be examined or trained.

    It has the same parameters under the same names, so weights can be exchanged with the original.

    Args:
        network: UNet, left unchanged.
        stages: Stages to cut the skips of, 0 the finest; None is all of them.

    Raises:
        ConfigError: If a stage has no skip.
    """
    skips = range(len(network.encoder.channels) - 1)
    cut = frozenset(skips if stages is None else stages)
    if not cut <= set(skips):
        raise ConfigError(f"stages must be of 0 to {len(skips) - 1}, which have skips, got {sorted(cut)}")
    blind = copy.deepcopy(network)
    blind.decoder.register_forward_pre_hook(partial(_cut, cut))
    return blind


def _cut(stages: frozenset[int], decoder: nn.Module, inputs: tuple[Sequence[Tensor]]) -> tuple[list[Tensor]]:
    features = enumerate(inputs[0])
    return ([torch.zeros_like(one) if stage in stages else one for stage, one in features],)
