"""Three stages of work on many cases that overlap: reading ahead, the main work, and writing behind."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from medseg.cohort.run_cases import CASE_ERRORS, CaseOutcome, HasCaseId
from medseg.records import Failure, lacks_memory

CaseLike = TypeVar("CaseLike", bound=HasCaseId)
Read = TypeVar("Read")
Made = TypeVar("Made")
Result = TypeVar("Result")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages(Generic[CaseLike, Read, Made, Result]):
    """The work on a case, in three functions that are called one after the other.

    Attributes:
        name: Name of the whole work in failures, as a verb.
        read: Reads and prepares a case, in a thread of its own, while `make` works on the case before it.
        make: Makes something of what was read, in the calling thread.
        write: Writes what was made, in a third thread, while `make` works on the next case.
    """

    name: str
    read: Callable[[CaseLike], Read]
    make: Callable[[CaseLike, Read], Made]
    write: Callable[[CaseLike, Made], Result]


def pipeline_cases(
    cases: Sequence[CaseLike], stages: Stages[CaseLike, Read, Made, Result]
) -> Generator[CaseOutcome[Result], None, None]:
    """Work on every case in three stages that overlap, and yield each outcome in the order of the cases.

    At most one case that was read waits, and one that was made waits to be written. A case that lacks memory while
    others are in work is tried once more alone. Closing the generator, or an error in the loop over it, begins nothing
    more; what is being written is written, and no thread is left.

    Args:
        cases: Cases, or anything else with a `case_id`.
        stages: The work; an error of `CASE_ERRORS` in any stage is that case's failure.

    Raises:
        BaseException: Any other error of the work, `KeyboardInterrupt` among them.
    """
    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        work = _Work(stages, reader, writer)
        for place, case in enumerate(cases):
            following = cases[place + 1] if place + 1 < len(cases) else None
            made = work.make(case, work.read(case), following)
            if place:
                yield CaseOutcome(place - 1, cases[place - 1].case_id, work.written())
            work.write(case, made)
            del made  # or it would stay in memory while the next one is made
        if cases:
            yield CaseOutcome(len(cases) - 1, cases[-1].case_id, work.written())


class _Failed(NamedTuple):
    """Failure of a case, and whether it may not come again once other work has ended."""

    failure: Failure
    lacks_memory: bool


class _Work(Generic[CaseLike, Read, Made, Result]):
    """The case that is read ahead, and the one that is being written."""

    def __init__(
        self, stages: Stages[CaseLike, Read, Made, Result], reader: ThreadPoolExecutor, writer: ThreadPoolExecutor
    ) -> None:
        self._stages, self._reader, self._writer = stages, reader, writer
        self._ahead: Future[Read | _Failed] | None = None
        self._behind: Future[Result | _Failed] | None = None

    def read(self, case: CaseLike) -> Read | _Failed:
        """What was read of a case."""
        if self._ahead is None:
            return self._read(case)
        read = self._ahead.result()
        self._ahead = None
        if isinstance(read, _Failed) and read.lacks_memory:
            self._wait()
            read = self._read(case)
        return read

    def make(self, case: CaseLike, read: Read | _Failed, following: CaseLike | None) -> Made | _Failed:
        """What is made of a case, while the following one is read."""
        self._read_ahead(following)
        if isinstance(read, _Failed):
            return read
        made = self._attempt(case, partial(self._stages.make, case, read))
        is_alone = self._ahead is None and self._behind is None
        if is_alone or not isinstance(made, _Failed) or not made.lacks_memory:
            return made
        del read
        self._wait()
        made = self._make_alone(case)
        self._read_ahead(following)
        return made

    def write(self, case: CaseLike, made: Made | _Failed) -> None:
        """Begin to write what was made."""
        self._behind = self._writer.submit(self._write, case, made)

    def written(self) -> Result | Failure:
        """What came of the case that is being written."""
        if self._behind is None:
            raise RuntimeError("nothing is being written")
        result, self._behind = self._behind.result(), None
        return result.failure if isinstance(result, _Failed) else result

    def _read_ahead(self, case: CaseLike | None) -> None:
        self._ahead = self._reader.submit(self._read, case) if case is not None else None

    def _wait(self) -> None:
        """Wait until nothing else is in work; a case that was read ahead gives its memory back, to be read again."""
        if self._ahead is not None:
            self._ahead.result()
        if self._behind is not None:
            self._behind.result()
        self._ahead = None

    def _read(self, case: CaseLike) -> Read | _Failed:
        return self._attempt(case, partial(self._stages.read, case))

    def _make_alone(self, case: CaseLike) -> Made | _Failed:
        read = self._read(case)
        return read if isinstance(read, _Failed) else self._attempt(case, partial(self._stages.make, case, read))

    def _write(self, case: CaseLike, made: Made | _Failed) -> Result | _Failed:
        return made if isinstance(made, _Failed) else self._attempt(case, partial(self._stages.write, case, made))

    def _attempt(self, case: CaseLike, work: Callable[[], Value]) -> Value | _Failed:
        """Catch errors where the work runs: an error's traceback would keep the arrays of its case in memory."""
        try:
            return work()
        except CASE_ERRORS as error:
            return _Failed(Failure.of(case.case_id, self._stages.name, error), lacks_memory(error))
