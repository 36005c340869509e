"""How a slice classifier is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.training.config import OptimisationConfig


class SliceTrainingConfig(OptimisationConfig):
    """Settings of a classification training: those of every training, samples and class weights.

    Attributes:
        batch_size: Slices per step, or studies where labels are per study.
        epochs: Length in epochs, which show every slice once but have at most `longest_epoch` steps.
        learning_rate: Peak rate, reached at the end of the warm-up.
        weight_decay: Weight decay of the optimiser.
        decay: Shape of the rate's decay to almost 0.
        slices_per_study: Slices of a study per step, spread over all of it; used where labels are per study.
        longest_epoch: Largest number of steps of an epoch.
        balance: Whether rare classes have more weight in the loss; the probabilities are corrected for it.
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
