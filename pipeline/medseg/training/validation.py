"""The validation: an engine of its own, over whole cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from ignite.handlers import EpochOutputStore
from torch import nn

from medseg.training.budget import TAIL_S, Budget, tolerance_s
from medseg.training.events import TrainingEvents
from medseg.training.ignite_log import make_engine
from medseg.training.ranks import is_alone, of_first_rank, said_by_all, said_to_first_rank
from medseg.training.state import TrainingState
from medseg.training.stopwatch import Stopwatch
from medseg.training.task import KeepsCases, Task, Validation

_MIDWAY_SHARE = 0.02  # of a wall-clock budget, for one validation on the way
_FINAL_SHARE = 0.2  # and for the one at the end


def affordable_cases(cases: int, case_s: float, *, seconds: float | None) -> int:
    """How many validation cases can be measured, at least one.

    Args:
        cases: Cases that there are.
        case_s: Seconds that a case takes.
        seconds: Seconds that there are; None where time does not count.
    """
    if seconds is None or case_s <= 0:
        return cases
    return min(cases, max(1, int(seconds / case_s)))


def spread_over(cases: Sequence[Any], count: int) -> list[Any]:
    """So many cases, evenly spaced, in their order."""
    return [cases[index * len(cases) // count] for index in range(count)]


def build_evaluator(task: Task, network: nn.Module) -> Engine:
    """An engine that measures a network case by case.

    After a run over cases, `evaluator.state.validation` holds the task's `Validation`, and `evaluator.state.metrics`
    its values and, as `score`, its score. In a distributed training each process measures its share of the cases, and
    all have the rows of all.
    """
    evaluator = make_engine(task.evaluation_step(network))
    EpochOutputStore().attach(evaluator, "rows_by_case")
    evaluator.add_event_handler(Events.COMPLETED, _gather, task)
    evaluator.add_event_handler(Events.COMPLETED, _summarise, task)
    return evaluator


def measure_case_s(task: Task, network: nn.Module) -> float:
    """Seconds that a validation case takes, from the first; 0 without any.

    They are those of a validation by all processes, over its cases.
    """
    clock = Stopwatch()
    for case in task.validation_cases[:1]:
        make_engine(task.evaluation_step(network)).run([case])
    at_once = min(int(idist.get_world_size()), len(task.validation_cases))
    return of_first_rank(clock.seconds() / at_once) if task.validation_cases else 0.0


def attach_validation(trainer: Engine, evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
    """Run the evaluator at every milestone and at the end, in every process on its share of the cases.

    Args:
        trainer: Engine of the training.
        evaluator: Engine of the validation; handlers of its `COMPLETED` run after each validation.
        state: State of the training, which keeps the last validation.
        task: Task with the validation cases.
        budget: Budget, in which the time of the validation at the end is reserved.
    """
    validator = _Validator(evaluator, state, task, budget)
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, validator.stop_in_time)
    evaluator.add_event_handler(Events.COMPLETED, validator.keep)
    trainer.add_event_handler(Events.STARTED, validator.reserve)
    trainer.add_event_handler(TrainingEvents.MILESTONE, validator.validate_midway)
    trainer.add_event_handler(Events.COMPLETED, validator.validate_at_the_end)


class _Validator:
    """Runs the evaluator on as many cases as the budget pays for, and keeps what it finds.

    All validations on the way measure the same cases, and that at the end these first, so that scores compare.
    """

    def __init__(self, evaluator: Engine, state: TrainingState, task: Task, budget: Budget) -> None:
        self._evaluator = evaluator
        self._state = state
        self._task = task
        self._budget = budget
        self._clock = Stopwatch()
        self._is_final = False

    def reserve(self) -> None:
        """Measure what a case takes, where the clock counts, and keep time for the validation at the end."""
        state = self._state
        if self._budget.total_s() is not None:
            state.case_s = measure_case_s(self._task, state.average.module)
            self._keep_back()
        most = len(self._task.validation_cases)
        state.compared_cases = min(state.compared_cases or self._affordable(_MIDWAY_SHARE), most)

    def validate_midway(self) -> None:
        """Validate at a milestone."""
        self._run(self._compared(), is_final=False)
        self._state.last_validation = self._state.progress

    def validate_at_the_end(self) -> None:
        """Validate the finished weights, unless that is done or there are none."""
        if self._state.step > 0 and self._state.validated_step != self._state.step:
            first = self._compared()
            others = [case for case in self._task.validation_cases if not any(case is other for other in first)]
            more = max(0, self._final_count() - len(first))
            self._run([*first, *spread_over(others, more)], is_final=True)

    def stop_in_time(self, evaluator: Engine) -> None:
        """End the last validation before the budget is overrun, however slow the machine has become."""
        total_s = self._budget.total_s()
        if not self._is_final or total_s is None or self._is_repeated():
            return
        done = evaluator.state.iteration
        end_s = self._budget.elapsed_s() + self._clock.seconds() / done + TAIL_S
        if done < evaluator.state.epoch_length and end_s > total_s + tolerance_s(total_s):
            evaluator.terminate_epoch()

    def keep(self, evaluator: Engine) -> None:
        """Keep the validation, and what its cases took."""
        state, rows = self._state, evaluator.state.rows_by_case
        found: Validation = evaluator.state.validation
        state.last = replace(found, values=found.values | {"validated_cases": float(len(rows))})
        evaluator.state.validation = state.last
        state.case_s = of_first_rank(self._clock.seconds() / len(rows))
        state.validated_cases = len(rows)
        state.score = found.score
        if state.compared_cases is not None and state.compared_cases < len(rows):
            numbered = zip(evaluator.state.case_numbers, rows, strict=True)
            compared = [of_case for number, of_case in numbered if number < state.compared_cases]
            state.score = self._task.summarise(list(chain.from_iterable(compared))).score

    def _final_count(self) -> int:
        """Cases of the validation at the end; a training that had ended is measured again as it was."""
        finished = self._state.finished
        return finished[1] if finished and self._is_repeated() else self._affordable(_FINAL_SHARE)

    def _is_repeated(self) -> bool:
        finished = self._state.finished
        return finished is not None and finished[0] == self._state.step

    def _compared(self) -> list[Any]:
        return spread_over(self._task.validation_cases, self._state.compared_cases or 0)

    def _affordable(self, share: float) -> int:
        total_s = self._budget.total_s()
        seconds = None if total_s is None else share * total_s
        return affordable_cases(len(self._task.validation_cases), self._state.case_s, seconds=seconds)

    def _run(self, cases: Sequence[Any], *, is_final: bool) -> None:
        if cases:
            self._is_final = is_final
            self._clock.restart()
            self._evaluate(cases)
        self._state.validated_step = self._state.step
        self._keep_back()

    def _evaluate(self, cases: Sequence[Any]) -> None:
        """Measure this process's cases; one without any has a part in what follows, too."""
        own = cases if is_alone() else cases[idist.get_rank() :: idist.get_world_size()]
        self._evaluator.state.max_epochs = None  # Ignite takes a run that an error ended for unfinished
        if own:
            self._evaluator.run(own)
        else:
            self._evaluator.state.rows_by_case = []
            self._evaluator.fire_event(Events.COMPLETED)

    def _keep_back(self) -> None:
        """Reserve the time of the validation at the end."""
        self._budget.keep_back(self._affordable(_FINAL_SHARE) * self._state.case_s + TAIL_S)


def _gather(evaluator: Engine, task: Task) -> None:
    """Put the rows of all processes in the order of the cases, and hand the first what else is kept of them."""
    parts = said_by_all(evaluator.state.rows_by_case)
    numbered = sorted(
        ((rank + place * len(parts), rows) for rank, part in enumerate(parts) for place, rows in enumerate(part)),
        key=lambda one: one[0],
    )
    evaluator.state.case_numbers = [number for number, _ in numbered]
    evaluator.state.rows_by_case = [rows for _, rows in numbered]
    if not is_alone() and isinstance(task, KeepsCases):
        kept = said_to_first_rank(task.kept())
        task.keep_others(kept[1:])


def _summarise(evaluator: Engine, task: Task) -> None:
    validation = task.summarise(list(chain.from_iterable(evaluator.state.rows_by_case)))
    evaluator.state.validation = validation
    evaluator.state.metrics = {**validation.values, "score": validation.score}
