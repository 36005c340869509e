"""From the slices of a study to one answer: multiple-instance pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseg.errors import ConfigError


class GatedAttention(nn.Module):
    """Weights of the slices of a study from their features.

    Args:
        features: Features per slice.
        hidden: Width of the two gates, L in the paper.

    Source: Ilse et al. 2018, https://arxiv.org/abs/1802.04712, eq. 9.
    """

    def __init__(self, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.value = nn.Linear(features, hidden)
        self.gate = nn.Linear(features, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, features: Tensor, lengths: Sequence[int]) -> Tensor:
        """Features `(N, F)` of all studies' slices to weights `(N,)` that sum to one over each study."""
        gated = torch.tanh(self.value(features)) * torch.sigmoid(self.gate(features))  # (N, L)
        scores = self.score(gated)[:, 0]  # (N,)
        return torch.cat([study.softmax(dim=0) for study in split_studies(scores, lengths)])


def split_studies(slices: Tensor, lengths: Sequence[int]) -> tuple[Tensor, ...]:
    """Slices `(N, …)` of several studies, one after another, to one tensor `(length, …)` per study.

    Raises:
        ConfigError: If a study has no slice, or the lengths do not add up to N.
    """
    if not lengths or min(lengths) < 1 or sum(lengths) != len(slices):
        raise ConfigError(
            f"studies: lengths must be at least 1 and add up to {len(slices)} slices, got {list(lengths)}",
            remedy="leave out studies without slices",
        )
    return torch.split(slices, list(lengths))


def largest_per_study(logits: Tensor, lengths: Sequence[int]) -> Tensor:
    """Logits `(N, classes)` per slice to their largest per study and class, `(studies, classes)`."""
    return torch.stack([study.amax(dim=0) for study in split_studies(logits, lengths)])


def mean_per_study(logits: Tensor, lengths: Sequence[int]) -> Tensor:
    """Logits `(N, classes)` per slice to their mean per study, `(studies, classes)`."""
    return torch.stack([study.mean(dim=0) for study in split_studies(logits, lengths)])


def weighted_per_study(features: Tensor, weights: Tensor, lengths: Sequence[int]) -> Tensor:
    """Features `(N, F)` and weights `(N,)` to the weighted sum of each study's features, `(studies, F)`."""
    return torch.stack([study.sum(dim=0) for study in split_studies(features * weights[:, None], lengths)])
