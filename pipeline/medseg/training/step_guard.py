"""Guard of the steps: after an interruption, network, average and optimiser must belong to the same step."""

from __future__ import annotations

from typing import Any

from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.training.state import TrainingState


class StepGuard:
    """Tracks how far a step has come, and undoes one that is not finished.

    A step first changes the network's running statistics (forward), then its weights (optimiser), and at last its
    average. An error before the weights change can be undone, one after it cannot.

    Args:
        network: Network that is trained.
        optimiser: Optimiser of the network.
    """

    def __init__(self, network: nn.Module, optimiser: Optimizer) -> None:
        self._network = network
        self._statistics: list[Tensor] = []
        self._is_changing = False
        optimiser.register_step_pre_hook(self._note_change)

    def begin(self) -> None:
        """Note the running statistics before a step."""
        self._statistics = [buffer.clone() for buffer in self._network.buffers()]

    def end(self) -> None:
        """Note that a step is done and the average updated."""
        self._is_changing = False
        self._statistics = []

    def rewind(self) -> bool:
        """Undo an unfinished step.

        Returns:
            Whether all is as after the last whole step; False if the weights had begun to change.
        """
        if self._is_changing:
            return False
        for buffer, before in zip(self._network.buffers(), self._statistics, strict=False):
            buffer.copy_(before)
        return True

    def _note_change(self, optimiser: Optimizer, args: Any, kwargs: Any) -> None:
        self._is_changing = True


def attach_step_guard(trainer: Engine, state: TrainingState) -> StepGuard:
    """Watch every step; attached right after the average, which ends a step."""
    guard = StepGuard(state.network, state.optimiser)
    trainer.add_event_handler(Events.ITERATION_STARTED, guard.begin)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, guard.end)
    return guard
