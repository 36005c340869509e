"""Whether a model decides in bfloat16 as it does in float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseg.inference.nnunet.card import AdoptedCard, PrecisionCheck
from medseg.inference.nnunet.model import AdoptedModel
from medseg.networks.precision import autocast, memory_format
from medseg.records import Labelmap, Scan
from medseg.targets import on_logits

LEAST_AGREEMENT = 0.999
_WINDOWS = 2
_OCTAVES = 5  # scales of the noise, each twice as coarse as the one before
_FEWEST = 100  # voxels of a label whose Dice says something
_SEED = 0


def check_on_noise(model: AdoptedModel) -> PrecisionCheck | None:
    """Compare both on windows of noise with fine and coarse structure; None where that shows no label.

    One fold sees each window once: means over folds and mirrored copies differ less.
    """
    masks = [[_decided(model, window, is_bf16) for is_bf16 in (False, True)] for window in _noise(model.card)]
    pairs = [np.stack([pair[n] for pair in masks]) for n in range(2)]
    return _compared(pairs[0], pairs[1], subject="noise")


def check_on_scan(model: AdoptedModel, scan: Scan, *, name: str) -> PrecisionCheck | None:
    """Compare both on the masks of a whole scan; None where it shows no label.

    Args:
        model: Loaded model; its number format is changed.
        scan: Scan as it was read.
        name: Name of the scan.
    """
    model.precision = "fp32"
    exact = model.mask(scan)
    model.precision = "bf16"
    return _compared(exact, model.mask(scan), subject=name)


@torch.inference_mode()
def _decided(model: AdoptedModel, window: Tensor, is_bf16: bool) -> Labelmap:
    x = window.to(model.device)
    x = x.to(memory_format=memory_format(model.card.network.spatial_dims, model.device))
    with autocast(model.device, "bf16" if is_bf16 else "fp32"):
        logits: Tensor = model.network.first(x)
    return on_logits(model.target).decide(logits.float()[0])


def _noise(card: AdoptedCard) -> Iterator[Tensor]:
    """Windows `(1, C, I, J[, K])` whose image channels are noise, and whose labels of an earlier stage are empty."""
    generator = torch.Generator().manual_seed(_SEED)
    size = card.patch_size[: card.network.spatial_dims]
    mode = "bilinear" if len(size) == 2 else "trilinear"
    for _ in range(_WINDOWS):
        total = torch.zeros(1, len(card.channels), *size)
        for octave in range(_OCTAVES):
            coarse = [max(1, extent >> octave) for extent in size]
            part = torch.randn(1, len(card.channels), *coarse, generator=generator)
            total += functional.interpolate(part, size, mode=mode, align_corners=False) * 2**octave
        window = torch.zeros(1, card.network.in_channels, *size)
        window[:, : len(card.channels)] = total / total.std()
        yield window


def _compared(exact: Labelmap, rounded: Labelmap, *, subject: str) -> PrecisionCheck | None:
    """Smallest Dice of the labels that are large enough to tell."""
    scores = []
    for value in np.unique(exact[exact > 0]):
        one, other = exact == value, rounded == value
        if one.sum() >= _FEWEST:
            scores.append(2 * (one & other).sum() / (one.sum() + other.sum()))
    return PrecisionCheck(agreement=float(min(scores)), subject=subject) if scores else None
