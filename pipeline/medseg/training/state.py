"""State of a training: all that changes from step to step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from medseg.training.task import Validation


@dataclass(slots=True)
class TrainingState:
    """The state that the handlers of a training read and write, and that a checkpoint keeps.

    Attributes:
        network: Network as the last step left it.
        average: Moving average of its weights (`average.module`), which is validated and delivered.
        optimiser: Optimiser of the network.
        steps_per_epoch: Steps in which every sample is shown once.
        step: Steps done, their updates of the average included.
        progress: Share of the budget that is used, from 0 to 1.
        losses: Losses of the running epoch, on the network's device.
        best_score: Best score of any validation; minus infinity before the first.
        last_validation: Progress at the last validation before the end.
        validation_s: Seconds that the last validation took; 0 before the first.
        last: Last validation; None before the first.
        validated_step: Step of the last validation since the run began or was resumed.
        is_epoch_open: Whether the run was resumed after an error at the end of an epoch, which is still to be reported.
    """

    network: nn.Module
    average: AveragedModel
    optimiser: Optimizer
    steps_per_epoch: int
    step: int = 0
    progress: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    best_score: float = float("-inf")
    last_validation: float = 0.0
    validation_s: float = 0.0
    last: Validation | None = None
    validated_step: int | None = None
    is_epoch_open: bool = False

    @property
    def epoch(self) -> int:
        """Epochs begun."""
        return math.ceil(self.step / self.steps_per_epoch)
