"""Whether a model of nnU-Net decides in bfloat16 as it does in float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from medseg.inference.nnunet.card import AdoptedCard
from medseg.inference.nnunet.model import AdoptedModel
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.segmentation.precision_check import compare_masks, decided_in_both, noise_windows


def check_on_noise(model: AdoptedModel) -> PrecisionCheck | None:
    """Compare both on windows of noise with fine and coarse structure; None where that shows no label.

    One fold sees each window once: means over folds and mirrored copies differ less.
    """
    card, first = model.card, model.network.first
    pairs = (decided_in_both(first, x, target=card.target, device=model.device) for x in _windows(card))
    return compare_masks(pairs, labels=card.labels, subject="noise")


def _windows(card: AdoptedCard) -> Iterator[Tensor]:
    """Windows whose image channels are noise, and whose labels of an earlier stage are empty."""
    size = card.patch_size[: card.network.spatial_dims]
    for noise in noise_windows(len(card.channels), size):
        window = torch.zeros(1, card.network.in_channels, *size)
        window[:, : len(card.channels)] = noise
        yield window
