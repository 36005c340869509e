"""Files of a training: delivered weights, best weights, and the checkpoint from which it is resumed."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from ignite.engine import Engine, Events

from medseg.errors import PipelineError
from medseg.networks.weights import save_weights
from medseg.training.budget import Budget
from medseg.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from medseg.training.events import TrainingEvents
from medseg.training.ranks import is_first_rank
from medseg.training.state import TrainingState
from medseg.training.step_guard import StepGuard
from medseg.training.stopwatch import Stopwatch

_SAVE_EVERY_S = 300.0


class Checkpoints:
    """The files of a training, written by the first process alone.

    As a context round the run it makes sure that no trained step is lost: however the run ends (an error in a step or
    in a handler of the user's, Ctrl-C), a checkpoint of the last whole step is left. Weights that are not finite are
    not saved, so that the checkpoint before them stays. (A handler of Ignite's `EXCEPTION_RAISED` cannot promise that:
    it is not called after another that raises, and where it does not raise itself, the error is lost.)

    Args:
        folder: Target folder.
        state: State of the training.
        budget: Budget of the training; a checkpoint holds its used seconds.
        guard: Guard of the steps.
    """

    def __init__(self, folder: Path, state: TrainingState, budget: Budget, guard: StepGuard) -> None:
        self.folder = folder
        self._state = state
        self._budget = budget
        self._guard = guard
        self._saved_step = state.step
        self._clock = Stopwatch()

    def save(self) -> None:
        """Write the delivered weights and the checkpoint."""
        self._save({})

    def save_now_and_then(self) -> None:
        """Save if five minutes have passed since the last save."""
        if self._clock.seconds() > _SAVE_EVERY_S:
            self.save()

    def save_best(self) -> None:
        """Write the averaged weights if this validation is the best so far, or the first."""
        if not is_first_rank():
            return
        path = self.folder / "model" / "best.safetensors"
        score = self._state.score if math.isfinite(self._state.score) else -math.inf
        if score > self._state.best_score or not path.exists():
            self._state.best_score = score
            save_weights(self._state.average.module.state_dict(), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._saved_step == self._state.step or not self._guard.rewind() or not _is_finite(self._state):
            return
        try:
            self._save(_open_pause(self._state))
        except (PipelineError, OSError, RuntimeError) as failure:
            if error is None:
                raise
            error.add_note(f"its last steps are lost, because no checkpoint could be written: {failure}")

    def _save(self, more: dict[str, Any]) -> None:
        if not is_first_rank():
            return
        state = self._state
        save_weights(state.average.module.state_dict(), self.folder / "model" / "last.safetensors")
        facts = {
            "step": state.step,
            "elapsed_s": self._budget.elapsed_s(),
            "best_score": state.best_score,
            "last_validation": state.last_validation,
            "compared_cases": state.compared_cases,
            "reported": state.reported,
            **more,
        }
        save_checkpoint(
            self.folder / CHECKPOINT_NAME,
            network=state.network,
            average=state.average,
            optimiser=state.optimiser,
            facts=facts,
        )
        self._saved_step = state.step
        self._clock.restart()


def attach_checkpoints(trainer: Engine, evaluator: Engine, checkpoints: Checkpoints) -> None:
    """Keep the best weights of every validation, and save at milestones, now and then at a pause, and at the end."""
    evaluator.add_event_handler(Events.COMPLETED, checkpoints.save_best)
    trainer.add_event_handler(TrainingEvents.MILESTONE, checkpoints.save)
    trainer.add_event_handler(TrainingEvents.PAUSED, checkpoints.save_now_and_then)
    trainer.add_event_handler(Events.COMPLETED, checkpoints.save)


def restore(state: TrainingState, folder: Path) -> None:
    """Set a training back to the checkpoint in a folder.

    Raises:
        CheckpointError: If the checkpoint is missing, damaged or of another training.
    """
    facts = load_checkpoint(
        folder / CHECKPOINT_NAME, network=state.network, average=state.average, optimiser=state.optimiser
    )
    state.step = int(facts["step"])
    state.best_score = float(facts["best_score"])
    state.last_validation = facts["last_validation"]
    state.compared_cases = facts.get("compared_cases")
    state.reported = float(facts.get("reported", 0.0))
    if "losses" in facts:
        device = next(state.network.parameters()).device
        state.losses = [torch.tensor(loss, device=device) for loss in facts["losses"]]
        state.is_pause_open = state.step % state.steps_per_epoch == 0 or not state.losses
        for group in state.optimiser.param_groups:
            group["lr"] = float(facts["learning_rate"])


def attach_open_pause(trainer: Engine, state: TrainingState) -> None:
    """Make the pause at which a run was interrupted: its report, its validation or its save are still missing.

    Attached last, so that handlers of the user's have seen the run start.
    """
    trainer.add_event_handler(Events.STARTED, _make_open_pause, state)


def _make_open_pause(engine: Engine, state: TrainingState) -> None:
    if state.is_pause_open and not engine.should_terminate:
        is_end = state.step % state.steps_per_epoch == 0
        engine.fire_event(Events.EPOCH_COMPLETED if is_end else TrainingEvents.PAUSED)


def _open_pause(state: TrainingState) -> dict[str, Any]:
    """Facts of steps that are not reported yet."""
    return {
        "losses": [float(loss) for loss in state.losses],
        "learning_rate": state.optimiser.param_groups[0]["lr"],
    }


def _is_finite(state: TrainingState) -> bool:
    """Whether the losses since the last report and all weights are finite."""
    tensors = [*state.network.state_dict().values(), *state.average.state_dict().values()]
    return all(math.isfinite(float(loss)) for loss in state.losses) and all(
        bool(torch.isfinite(tensor).all()) for tensor in tensors
    )
