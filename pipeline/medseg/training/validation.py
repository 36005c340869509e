"""The validation: an engine of its own, over whole cases."""

from __future__ import annotations

from itertools import chain

from ignite.engine import Engine, Events
from ignite.handlers import EpochOutputStore
from torch import nn

from medseg.training.budget import TAIL_S, Budget
from medseg.training.events import TrainingEvents
from medseg.training.ignite_log import make_engine
from medseg.training.ranks import is_first_rank, wait_for_first_rank
from medseg.training.state import TrainingState
from medseg.training.stopwatch import Stopwatch
from medseg.training.task import Task


def build_evaluator(task: Task, network: nn.Module) -> Engine:
    """An engine that measures a network case by case.

    After a run over cases, `evaluator.state.validation` holds the task's `Validation`, and `evaluator.state.metrics`
    its values and, as `score`, its score.
    """
    evaluator = make_engine(task.evaluation_step(network))
    EpochOutputStore().attach(evaluator, "rows_by_case")
    evaluator.add_event_handler(Events.COMPLETED, _summarise, task)
    return evaluator


def estimate_validation_s(task: Task, network: nn.Module) -> float:
    """Seconds that a validation will take, from its first case."""
    clock = Stopwatch()
    for case in task.validation_cases[:1]:
        make_engine(task.evaluation_step(network)).run([case])
    return clock.seconds() * len(task.validation_cases)


def attach_validation(trainer: Engine, evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
    """Run the evaluator at every milestone and at the end, in the first process alone.

    Args:
        trainer: Engine of the training.
        evaluator: Engine of the validation; handlers of its `COMPLETED` run after each validation.
        state: State of the training, which keeps the last validation.
        task: Task with the validation cases.
        budget: Budget, in which the time of the next validation is reserved.
    """
    clock = Stopwatch()
    evaluator.add_event_handler(Events.STARTED, clock.restart)
    evaluator.add_event_handler(Events.COMPLETED, _keep, state, clock)
    trainer.add_event_handler(TrainingEvents.MILESTONE, _validate_midway, evaluator, state, task, budget)
    trainer.add_event_handler(Events.COMPLETED, _validate_at_the_end, evaluator, state, task, budget)


def _validate_midway(evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
    _validate(evaluator, state, task, budget)
    state.last_validation = state.progress


def _validate_at_the_end(evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
    if state.validated_step != state.step:
        _validate(evaluator, state, task, budget)


def _validate(evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
    if is_first_rank() and task.validation_cases:
        evaluator.state.max_epochs = None  # Ignite takes a run that an error ended for unfinished
        evaluator.run(task.validation_cases)
    wait_for_first_rank()
    state.validated_step = state.step
    budget.keep_back(state.validation_s + TAIL_S)


def _summarise(evaluator: Engine, task: Task) -> None:
    validation = task.summarise(list(chain.from_iterable(evaluator.state.rows_by_case)))
    evaluator.state.validation = validation
    evaluator.state.metrics = {**validation.values, "score": validation.score}


def _keep(evaluator: Engine, state: TrainingState, clock: Stopwatch) -> None:
    state.last = evaluator.state.validation
    state.validation_s = clock.seconds()
