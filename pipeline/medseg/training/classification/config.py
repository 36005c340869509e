"""How a slice classifier is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.training.config import OptimisationConfig


class SliceTrainingConfig(OptimisationConfig):
    """Samples of a slice classifier, and what its loss weighs.

    Attributes:
        batch_size: Slices per step, or studies where labels are per study.
        epochs: An epoch shows every slice once, but has at most `longest_epoch` steps.
        learning_rate: At the end of the warm-up.
        weight_decay: Of the optimiser.
        decay: Shape of the rate's way back to nothing.
        slices_per_study: Slices of a study that are shown per step, spread over all of it; where labels are per study.
        longest_epoch: Steps.
        balance: Whether rare classes weigh more in the loss; the probabilities are corrected for it.
        strongest_weight: Largest weight of a class, and the inverse of the smallest.
    """

    batch_size: int = Field(64, ge=1)
    epochs: int = Field(20, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    decay: Literal["polynomial", "cosine"] = "cosine"
    slices_per_study: int = Field(16, ge=1)
    longest_epoch: int = Field(250, ge=1)
    balance: bool = True
    strongest_weight: float = Field(10.0, ge=1)
