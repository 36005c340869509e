"""How a network is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from medseg.configuration import Config
from medseg.networks.precision import PrecisionKind
from medseg.training.augment import AugmentConfig


class OptimisationConfig(Config):
    """Settings of every training: its length, rate and number format.

    Attributes:
        batch_size: Samples per step.
        epochs: Length of the training, unless a wall-clock budget is given.
        optimiser: AdamW, or SGD with Nesterov momentum 0.99.
        learning_rate: Peak rate, reached at the end of the warm-up.
        weight_decay: Weight decay of the optimiser.
        warmup: Share of the budget over which the rate rises from almost 0.
        decay: Shape of the rate's decay to almost 0: polynomial of power 0.9, or cosine.
        gradient_clip: Largest norm of the gradient.
        average_decay: Largest decay of the exponential moving average of the weights; it is smaller at first.
        validations: Number of validations, that at the end included.
        precision: Number format of the forward pass.
        seed: Seed of weights, sampling and augmentation.
        augment: Augmentation of the samples.
    """

    batch_size: int = Field(4, ge=1)
    epochs: int = Field(200, ge=1)
    optimiser: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(4e-3, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False)
    warmup: float = Field(0.02, ge=0, lt=1)
    decay: Literal["polynomial", "cosine"] = "polynomial"
    gradient_clip: float = Field(12.0, gt=0)
    average_decay: float = Field(0.999, ge=0, lt=1)
    validations: int = Field(10, ge=1)
    precision: PrecisionKind = "auto"
    seed: int = Field(0, ge=0)
    augment: AugmentConfig = AugmentConfig()

    @property
    def settled(self) -> float:
        """Progress from which validations tell how the rest of the training goes on."""
        return 0.0
