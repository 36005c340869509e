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
        losses: Losses since the last report, on the network's device.
        reported: Progress at the last report.
        best_score: Best score of any validation; minus infinity before the first.
        last_validation: Progress at the last validation before the end; None before the first.
        case_s: Seconds that a validation case takes; 0 as long as that is not known.
        compared_cases: Number of cases that every validation measures; None before the run starts.
        validated_cases: Number of cases of the last validation.
        last: Last validation; None before the first.
        score: Score of the last validation over the cases that every validation measures.
        curve: Step and score of every validation.
        settled_step: Step of the first validation that forecasts continue from; None before it.
        validated_step: Step of the last validation since the run began or was resumed.
        is_pause_open: Whether the run was resumed within a pause, or within what belongs to a step, which is to be made
            up for.
        finished: Steps and validated cases of a training that had come to its end; None of any other.
    """

    network: nn.Module
    average: AveragedModel
    optimiser: Optimizer
    steps_per_epoch: int
    step: int = 0
    progress: float = 0.0
    losses: list[Tensor] = field(default_factory=list)
    reported: float = 0.0
    best_score: float = float("-inf")
    last_validation: float | None = None
    case_s: float = 0.0
    compared_cases: int | None = None
    validated_cases: int = 0
    last: Validation | None = None
    score: float = float("-inf")
    curve: list[tuple[int, float]] = field(default_factory=list)
    settled_step: int | None = None
    validated_step: int | None = None
    is_pause_open: bool = False
    finished: tuple[int, int] | None = None

    @property
    def epoch(self) -> int:
        """Epochs begun."""
        return math.ceil(self.step / self.steps_per_epoch)
