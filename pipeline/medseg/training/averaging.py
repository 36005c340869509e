"""The moving average of the weights, which is validated and delivered."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.optim.swa_utils import AveragedModel

from medseg.training.state import TrainingState


def averaged_copy(network: nn.Module, *, decay: float) -> AveragedModel:
    """A copy of the network that holds the exponential moving average of its weights.

    The decay after n updates is at most (1 + n) / (10 + n), so the average spans about the last tenth of a training
    of any length, up to the given decay. Running statistics are averaged too; counters are copied.

    Source: the rule of TensorFlow's `ExponentialMovingAverage`; Polyak and Juditsky 1992,
    https://doi.org/10.1137/0330046.
    """
    return _MovingAverage(network, decay=decay)


def attach_average(trainer: Engine, state: TrainingState) -> None:
    """Update the average after every step, and count the step."""
    trainer.add_event_handler(Events.ITERATION_COMPLETED, _follow, state)


def _follow(state: TrainingState) -> None:
    state.average.update_parameters(state.network)
    state.step += 1


class _MovingAverage(AveragedModel):
    """PyTorch's averaged model without its waits: `n_averaged` stays on the CPU, so that no update reads the device."""

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        super().__init__(network, use_buffers=True)
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards the model by one step; the first step copies it."""
        done = int(self.n_averaged)
        share = 1 - min(self.decay, (1 + done) / (10 + done)) if done else 1.0
        averages = [*self.module.parameters(), *self.module.buffers()]
        currents = [*model.parameters(), *model.buffers()]
        pairs = list(zip(averages, currents, strict=True))
        floats = [pair for pair in pairs if done and pair[0].is_floating_point()]
        for average, current in pairs:
            if not (done and average.is_floating_point()):
                average.copy_(current)
        if floats:
            torch._foreach_lerp_([average for average, _ in floats], [current for _, current in floats], share)
        self.n_averaged += 1
