"""What a model costs, beside what it is worth."""

from __future__ import annotations

from medseg.configuration import Config


class ModelCost(Config):
    """Size of a network and effort of its training.

    Attributes:
        parameters: Trainable parameters.
        multiply_adds_per_window: Multiply-adds of one window of the prediction; None where they cannot be counted.
        training_s: Seconds of the training's budget that were used.
        steps: Steps of the training.
        device: Device that trained, such as `CPU with 8 threads (x86_64)`.
    """

    parameters: int
    multiply_adds_per_window: int | None
    training_s: float
    steps: int
    device: str
