"""The same work on every case: results and failures, both in the order of the cases."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, Protocol, TypeVar

from medseg.cohort.executors import SERIAL, Executor, LackedMemory, LostItem
from medseg.errors import PipelineError
from medseg.records import Failure, lacks_memory

CASE_ERRORS = (PipelineError, MemoryError, RuntimeError, OSError)
"""Errors of a single case that do not stop the others.

torch and blosc2 report a lack of memory as `RuntimeError`; a file that cannot be read or written is an `OSError`. All
others (`TypeError`, `KeyError`, …) are mistakes in the code and surface.
"""


class HasCaseId(Protocol):
    """Anything that stands for one case."""

    @property
    def case_id(self) -> str:
        """Id that a failure is listed under."""


CaseLike = TypeVar("CaseLike", bound=HasCaseId)
Result = TypeVar("Result")


class CaseOutcome(NamedTuple, Generic[Result]):
    """Outcome of the work on one case.

    Attributes:
        place: Index of the case in the sequence that was given.
        case_id: Id of the case.
        result: Return value of the work, or the failure.
    """

    place: int
    case_id: str
    result: Result | Failure


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """Outcome of the work on all cases; every case is in one of the two lists.

    Attributes:
        case_ids: Ids of the cases that succeeded, in the order given.
        results: Result of each of them.
        failures: The other cases, in the order given.
    """

    case_ids: tuple[str, ...]
    results: tuple[Result, ...]
    failures: tuple[Failure, ...]

    def by_id(self) -> dict[str, Result]:
        """Results by the id of their case."""
        return dict(zip(self.case_ids, self.results, strict=True))


def run_cases(
    cases: Sequence[CaseLike],
    work: Callable[[CaseLike], Result],
    *,
    stage: str,
    executor: Executor = SERIAL,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Done[Result]:
    """Do the same work on every case and keep all results; `iterate_cases` yields large ones one by one.

    Args:
        cases: Cases, or anything else with a `case_id`.
        work: Function that is called once with each case; for processes it must be picklable, such as a `partial` of a
            module's function.
        stage: Name of the work in failures, as a verb.
        executor: Executor that runs the work.
        on_done: Function that is called with each case id as the case ends, in this thread.

    Raises:
        BaseException: Any error of the work beyond `CASE_ERRORS`, `KeyboardInterrupt` among them, and any of `on_done`.
            Cases that have not begun are cancelled, and those that have may end first.
    """
    outcomes: list[CaseOutcome[Result]] = []
    with closing(iterate_cases(cases, work, stage=stage, executor=executor)) as ended:
        for outcome in ended:
            outcomes.append(outcome)
            on_done(outcome.case_id)
    outcomes.sort(key=lambda outcome: outcome.place)
    delivered = [(one.case_id, one.result) for one in outcomes if not isinstance(one.result, Failure)]
    return Done(
        tuple(case_id for case_id, _ in delivered),
        tuple(result for _, result in delivered),
        tuple(one.result for one in outcomes if isinstance(one.result, Failure)),
    )


def iterate_cases(
    cases: Sequence[CaseLike], work: Callable[[CaseLike], Result], *, stage: str, executor: Executor = SERIAL
) -> Generator[CaseOutcome[Result], None, None]:
    """Do the same work on every case and yield each outcome as it ends; no outcome is kept.

    Closing the generator, or an error in the loop over it, cancels the cases that have not begun.

    Args:
        cases: Cases, or anything else with a `case_id`.
        work: Function that is called once with each case, as in `run_cases`.
        stage: Name of the work in failures, as a verb.
        executor: Executor that runs the work; it decides the order of the outcomes.
    """
    with closing(executor.run(partial(_attempt, work=work, stage=stage), cases)) as ended:
        for place, result in ended:
            yield CaseOutcome(place, cases[place].case_id, _outcome(cases[place].case_id, result, stage=stage))
            del result  # or it would stay in memory until the next case ends


def _outcome(case_id: str, result: Result | Failure | LackedMemory | LostItem, *, stage: str) -> Result | Failure:
    """What a caller is told of what an executor gave."""
    if isinstance(result, LostItem):
        return Failure.of(case_id, stage, result.error)
    if isinstance(result, LackedMemory):
        failure: Failure = result.outcome
        return failure
    return result


def _attempt(case: CaseLike, *, work: Callable[[CaseLike], Result], stage: str) -> Result | Failure | LackedMemory:
    """Catch errors where the work runs: an error's traceback would keep the arrays of its case in memory."""
    try:
        return work(case)
    except CASE_ERRORS as error:
        failure = Failure.of(case.case_id, stage, error)
        return LackedMemory(failure) if lacks_memory(error) else failure
