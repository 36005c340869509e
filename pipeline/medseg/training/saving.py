"""Files of a training: delivered weights, best weights, and the checkpoint from which it is resumed."""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from ignite.engine import Engine, Events

from medseg.errors import PipelineError
from medseg.networks.weights import save_weights, weights_facts
from medseg.training.budget import Budget
from medseg.training.checkpoint import CHECKPOINT_NAME, load_checkpoint, save_checkpoint
from medseg.training.events import TrainingEvents
from medseg.training.ranks import is_first_rank
from medseg.training.report import Reporter
from medseg.training.state import TrainingState
from medseg.training.step_guard import StepGuard
from medseg.training.stopwatch import Stopwatch

_COST = 0.01  # of the time, for saving on the way
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_SCORE = "score"


class Checkpoints:
    """The files of a training, written by the first process alone.

    As a context round the run it makes sure that no trained step is lost: however the run ends (an error in a step or
    in a handler of the user's, Ctrl-C), a checkpoint of the last whole step is left. Weights that are not finite are
    not saved, so that the checkpoint before them stays. (A handler of Ignite's `EXCEPTION_RAISED` cannot promise that:
    it is not called after another that raises, and where it does not raise itself, the error is lost.)

    A process that is killed leaves its last checkpoint, from which the same steps, reports and validations follow. The
    best weights are written before the checkpoint that knows of them, and hold their own score.

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
        self._pause_s = _LEAST_PAUSE_S
        self._clock = Stopwatch()

    def save(self) -> None:
        """Write the delivered weights and the checkpoint."""
        self._save({})

    def save_finished(self) -> None:
        """Save a training that has come to its end, with the count of the cases that it was measured on."""
        self._save({"final_cases": self._state.validated_cases})

    def save_now_and_then(self) -> None:
        """Save a step, if it is a hundred times as long ago as saving took, at least 5 s and at most 300 s."""
        if self._clock.seconds() > self._pause_s:
            self._save_step()

    def save_before_validation(self) -> None:
        """Save, unless the next checkpoint is expected to come as soon as it would without a validation."""
        cases, case_s = self._state.compared_cases or 0, self._state.case_s
        is_soon = case_s > 0 and self._clock.seconds() + cases * case_s < self._pause_s
        if cases and not is_soon:
            self._save_step()

    def save_best(self) -> None:
        """Write the averaged weights if this validation is the best so far, or the first."""
        if not is_first_rank():
            return
        path = self.folder / "model" / "best.safetensors"
        score = self._state.score if math.isfinite(self._state.score) else -math.inf
        if score > self._state.best_score or not path.exists():
            self._state.best_score = score
            save_weights(self._state.average.module.state_dict(), path, facts={_SCORE: repr(float(score))})

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

    def _save_step(self) -> None:
        """Save a step whose report and validation may be still to come, unless it is saved."""
        if is_first_rank() and self._saved_step != self._state.step and _is_finite(self._state):
            self._save(_open_pause(self._state))

    def _save(self, more: dict[str, Any]) -> None:
        if not is_first_rank():
            return
        state, clock = self._state, Stopwatch()
        save_weights(state.average.module.state_dict(), self.folder / "model" / "last.safetensors")
        facts = {
            "step": state.step,
            "elapsed_s": self._budget.elapsed_s(),
            "total_s": self._budget.total_s(),
            "progress": self._budget.progress(state.step),
            "best_score": state.best_score,
            "last_validation": state.last_validation,
            "compared_cases": state.compared_cases,
            "reported": state.reported,
            "curve": state.curve,
            "settled_step": state.settled_step,
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
        self._pause_s = min(max(clock.seconds() / _COST, _LEAST_PAUSE_S), _LONGEST_PAUSE_S)
        self._clock.restart()


def attach_saves_on_the_way(trainer: Engine, checkpoints: Checkpoints) -> None:
    """Save now and then after a step, and before a validation; attached before what reports and validates."""
    trainer.add_event_handler(Events.ITERATION_COMPLETED, checkpoints.save_now_and_then)
    trainer.add_event_handler(TrainingEvents.MILESTONE, checkpoints.save_before_validation)
    trainer.add_event_handler(Events.COMPLETED, checkpoints.save_before_validation)


def attach_checkpoints(trainer: Engine, evaluator: Engine, checkpoints: Checkpoints) -> None:
    """Keep the best weights of every validation, and save after each at a milestone, and at the end."""
    evaluator.add_event_handler(Events.COMPLETED, checkpoints.save_best)
    trainer.add_event_handler(TrainingEvents.MILESTONE, checkpoints.save)
    trainer.add_event_handler(Events.COMPLETED, checkpoints.save_finished)


def restore(state: TrainingState, folder: Path, budget: Budget) -> None:
    """Set a training back to the checkpoint in a folder.

    Raises:
        CheckpointError: If the checkpoint is missing, damaged or of another training.
    """
    facts = load_checkpoint(
        folder / CHECKPOINT_NAME, network=state.network, average=state.average, optimiser=state.optimiser
    )
    state.step = int(facts["step"])
    state.best_score = max(float(facts["best_score"]), _score_of(folder / "model" / "best.safetensors"))
    state.last_validation = facts["last_validation"]
    state.compared_cases = facts.get("compared_cases")
    state.reported = float(facts.get("reported", 0.0))
    state.curve = [(int(step), float(score)) for step, score in facts.get("curve", ())]
    state.settled_step = facts.get("settled_step")
    state.progress = _progress(facts, budget)
    if "final_cases" in facts and facts["total_s"] == budget.total_s():
        state.finished = state.step, int(facts["final_cases"])
    if "losses" in facts:
        device = next(state.network.parameters()).device
        state.losses = [torch.tensor(loss, device=device) for loss in facts["losses"]]
        state.is_pause_open = True
        for group in state.optimiser.param_groups:
            group["lr"] = float(facts["learning_rate"])


def _progress(facts: dict[str, Any], budget: Budget) -> float:
    """Share of the budget that the checkpoint had reached; of another length, the share of its time."""
    total_s = budget.total_s()
    if total_s is None or ("progress" in facts and facts["total_s"] == total_s):
        return float(facts.get("progress", 0.0))
    return min(1.0, float(facts["elapsed_s"]) / total_s)


def _score_of(best: Path) -> float:
    """Score of the best weights, which may be of steps that were lost; minus infinity where it is not known."""
    return float(weights_facts(best).get(_SCORE, "-inf"))


def attach_open_pause(trainer: Engine, state: TrainingState, reporter: Reporter) -> None:
    """Make up for what a run was interrupted before: the report of its last step, its validation or its save.

    Attached last, so that handlers of the user's have seen the run start.
    """
    trainer.add_event_handler(Events.STARTED, _make_open_pause, state, reporter)


def _make_open_pause(engine: Engine, state: TrainingState, reporter: Reporter) -> None:
    if not state.is_pause_open or engine.should_terminate:
        return
    if state.step % state.steps_per_epoch == 0:
        engine.fire_event(Events.EPOCH_COMPLETED)
    elif state.losses:
        reporter.close_early(engine)
    else:
        engine.fire_event(TrainingEvents.PAUSED)


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
