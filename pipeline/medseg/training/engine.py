"""One training, from top to bottom: Ignite's engine round a task's own step, and what is attached to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from ignite.engine import Engine
from torch.optim import SGD, AdamW, Optimizer

from medseg.training.attach_forecast import attach_forecast
from medseg.training.averaging import attach_average, averaged_copy
from medseg.training.budget import Budget, attach_budget, attach_common_end
from medseg.training.events import TrainingEvents
from medseg.training.ignite_log import make_engine
from medseg.training.listener import OnStep, TrainingListener, attach_listeners
from medseg.training.milestones import attach_milestones
from medseg.training.randomness import seeded_step
from medseg.training.ranks import take_weights_of_first_rank
from medseg.training.report import attach_early_reports, attach_report
from medseg.training.saving import (
    Checkpoints,
    attach_checkpoints,
    attach_open_pause,
    attach_saves_on_the_way,
    restore,
)
from medseg.training.schedule import attach_schedule
from medseg.training.state import TrainingState
from medseg.training.step_guard import attach_step_guard
from medseg.training.task import Task, Validation
from medseg.training.validation import attach_validation, build_evaluator
from medseg.training.whole_batch_norm import with_whole_batch_norms

__all__ = ["Attach", "Outcome", "Task", "run_task"]


class Attach(Protocol):
    """Attaches the user's own handlers to a training, after all of medseg's.

    To end a training early, call `trainer.terminate()`: it is validated and saved as at the end of its budget.
    """

    def __call__(self, trainer: Engine, evaluator: Engine, state: TrainingState, /) -> None:
        """Attach to Ignite's events and to `TrainingEvents`.

        Args:
            trainer: Engine of the steps.
            evaluator: Engine of the validation cases; it runs at every milestone and at the end.
            state: Network, average, optimiser and progress, for reading only.
        """


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a training.

    Attributes:
        steps: Steps done.
        epochs: Epochs begun.
        seconds: Seconds of the budget that were used.
        last: Last validation; None without one.
        validated_cases: Number of validation cases that it measured.
        compared_cases: Number of cases that every validation measured, over which the best score is.
        best_score: Best score of any validation; NaN without one.
    """

    steps: int
    epochs: int
    seconds: float
    last: Validation | None
    validated_cases: int
    compared_cases: int
    best_score: float

    @property
    def rows(self) -> list[Any]:
        """Rows of the last validation; none without one."""
        return list(self.last.rows) if self.last else []


def run_task(
    task: Task,
    budget: Budget,
    *,
    listeners: Sequence[TrainingListener] = (),
    on_step: OnStep = lambda progress, loss: None,
    attach: Sequence[Attach] = (),
    resume: bool = False,
) -> Outcome:
    """Train until the budget is spent, then validate and save.

    The delivered weights are the moving average at the end (`model/last.safetensors`); the average at the best
    validation is kept beside it (`model/best.safetensors`). An error anywhere, even in a handler of the user's, leaves
    a checkpoint of the last whole step, from which `resume` continues.

    In a distributed training (`ignite.distributed`) every process calls this with the same arguments. Each trains on
    its share of every batch and validates its share of the cases, the first alone reports and writes, and all have the
    numbers of a single process.

    Args:
        task: Task to train.
        budget: Steps or wall clock.
        listeners: Listeners of epochs and validations.
        on_step: Called after each step with the progress and the loss, which is NaN on a GPU, where reading it waits.
        attach: Functions that attach handlers of the user's.
        resume: Whether to continue from the checkpoint in `task.folder`.

    Raises:
        TrainingError: If there is no time for a step, or the loss is not finite.
        CheckpointError: If `resume` and the checkpoint does not fit.
    """
    state = _build(task)
    if resume:
        restore(state, task.folder, budget)
    trainer = _trainer(task, state)
    evaluator = build_evaluator(task, state.average.module)
    attach_schedule(trainer, state, budget, task.optimisation)
    attach_average(trainer, state)
    guard = attach_step_guard(trainer, state)
    reporter = attach_report(trainer, state, budget)
    checkpoints = Checkpoints(task.folder, state, budget, guard)
    attach_saves_on_the_way(trainer, checkpoints)
    attach_validation(trainer, evaluator, state, task, budget)
    attach_forecast(evaluator, state, settled=task.optimisation.settled)
    attach_budget(trainer, state, budget)
    attach_milestones(trainer, state, budget, validations=task.optimisation.validations)
    attach_listeners(trainer, evaluator, state, listeners=listeners, on_step=on_step)
    attach_early_reports(trainer, reporter)
    attach_checkpoints(trainer, evaluator, checkpoints)
    for attach_handlers in attach:
        attach_handlers(trainer, evaluator, state)
    attach_common_end(trainer)
    attach_open_pause(trainer, state, reporter)
    with checkpoints:
        trainer.run(task.batches(state.step, budget.progress))
    best = state.best_score if math.isfinite(state.best_score) else float("nan")
    compared = state.compared_cases or 0
    return Outcome(state.step, state.epoch, budget.elapsed_s(), state.last, state.validated_cases, compared, best)


def _build(task: Task) -> TrainingState:
    """Network, average and optimiser, their weights fixed by the seed."""
    config = task.optimisation
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = with_whole_batch_norms(task.build())
    take_weights_of_first_rank(network)
    average = averaged_copy(network, decay=config.average_decay)
    if config.optimiser == "sgd":
        optimiser: Optimizer = SGD(
            network.parameters(), config.learning_rate, momentum=0.99, nesterov=True, weight_decay=config.weight_decay
        )
    else:
        optimiser = AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay, fused=True)
    return TrainingState(network, average, optimiser, task.steps_per_epoch)


def _trainer(task: Task, state: TrainingState) -> Engine:
    """The engine of the steps, at the step that the state has reached."""
    step = task.step(state.network, state.optimiser)
    trainer = make_engine(seeded_step(step, task.optimisation.seed, task.device))
    trainer.register_events(*TrainingEvents)
    length = state.steps_per_epoch
    trainer.load_state_dict({"iteration": state.step, "epoch_length": length, "max_epochs": 2**31})
    return trainer
