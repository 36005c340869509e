"""Three overlapping stages over cases, by plain functions: order, bounds, failures, memory, and how it ends."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.cohort import CaseOutcome, Stages, pipeline_cases
from medseg.errors import MemoryShortageError
from medseg.records import Failure

from tests.cohort.works import CAUGHT, Numbered

WAIT_S = 20.0  # no test takes this long unless it fails
STAGES = ("read", "make", "write")


def many(count: int) -> list[Numbered]:
    return [Numbered(f"c{number}", number) for number in range(count)]


def stages(
    *,
    read: Callable[[Numbered], Any] = lambda case: case.number,
    make: Callable[[Numbered, Any], Any] = lambda case, read: read + 100,
    write: Callable[[Numbered, Any], Any] = lambda case, made: 2 * made,
) -> Stages[Numbered, Any, Any, Any]:
    return Stages(name="work", read=read, make=make, write=write)


def run(cases: list[Numbered], work: Stages[Numbered, Any, Any, Any]) -> list[CaseOutcome[Any]]:
    with closing(pipeline_cases(cases, work)) as ended:
        return list(ended)


def failing_at(place: str) -> Stages[Numbered, Any, Any, Any]:
    """Stages of which one raises the error that a case names."""

    def at(stage: str, case: Numbered, result: Any) -> Any:
        if stage == place and case.error:
            raise CAUGHT[case.error]
        return result

    return stages(
        read=lambda case: at("read", case, case.number),
        make=lambda case, read: at("make", case, read + 100),
        write=lambda case, made: at("write", case, 2 * made),
    )


def threads_of_stages() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith(("read", "write"))]


@st.composite
def any_cases(draw: st.DrawFn) -> list[Numbered]:
    errors = draw(st.lists(st.sampled_from(["", "", *CAUGHT]), max_size=8))
    return [Numbered(f"c{number}", number, error) for number, error in enumerate(errors)]


@settings(max_examples=60, deadline=None)
@given(any_cases(), st.sampled_from(STAGES))
def test_every_case_comes_out_in_order_whatever_stage_fails(cases: list[Numbered], place: str) -> None:
    outcomes = run(cases, failing_at(place))
    assert [(one.place, one.case_id) for one in outcomes] == [(n, case.case_id) for n, case in enumerate(cases)]
    for case, outcome in zip(cases, outcomes, strict=True):
        if case.error:
            assert isinstance(outcome.result, Failure)
            assert (outcome.result.case_id, outcome.result.stage) == (case.case_id, "work")
        else:
            assert outcome.result == 2 * (case.number + 100)
    assert threads_of_stages() == []


@pytest.mark.parametrize("place", STAGES)
def test_mistake_in_the_code_surfaces_from_every_stage(place: str) -> None:
    def mistake(*given: Any) -> Any:
        raise KeyError("nmber")

    with pytest.raises(KeyError, match="nmber"):
        run(many(4), stages(**{place: mistake}))
    assert threads_of_stages() == []


def test_next_case_is_read_and_last_one_written_while_one_is_made() -> None:
    """All three meet: each waits until the two others are at their own case."""
    together = threading.Barrier(3, timeout=WAIT_S)

    def read(case: Numbered) -> int:
        if case.number == 2:
            together.wait()
        return case.number

    def make(case: Numbered, read: int) -> int:
        if case.number == 1:
            together.wait()
        return read

    def write(case: Numbered, made: int) -> int:
        if case.number == 0:
            together.wait()
        return made

    assert [one.result for one in run(many(3), stages(read=read, make=make, write=write))] == [0, 1, 2]


def test_work_is_made_in_the_calling_thread() -> None:
    outcomes = run(many(3), stages(make=lambda case, read: threading.current_thread(), write=lambda case, made: made))
    assert {one.result for one in outcomes} == {threading.current_thread()}


def test_one_case_is_read_ahead_and_one_waits_to_be_written() -> None:
    lock, alive, most = threading.Lock(), {"read": 0, "made": 0}, {"read": 0, "made": 0}

    def count(what: str, change: int) -> None:
        with lock:
            alive[what] += change
            most[what] = max(most[what], alive[what])

    def read(case: Numbered) -> int:
        count("read", 1)
        return case.number

    def make(case: Numbered, read: int) -> int:
        time.sleep(0.01)
        count("read", -1)
        count("made", 1)
        return read

    def write(case: Numbered, made: int) -> int:
        time.sleep(0.02 * (case.number % 2))
        count("made", -1)
        return made

    run(many(12), stages(read=read, make=make, write=write))
    assert most == {"read": 2, "made": 2}


def test_nothing_is_kept_of_a_case_that_was_handed_over() -> None:
    class Large:
        """Something that takes memory."""

    alive: list[weakref.ref[Large]] = []

    def large(*given: Any) -> Large:
        made = Large()
        alive.append(weakref.ref(made))
        return made

    with closing(pipeline_cases(many(6), stages(read=large, make=large, write=lambda case, made: case.number))) as done:
        for outcome in done:
            gc.collect()
            # Made: the next case. Read: the one after it, if it is that far.
            assert sum(ref() is not None for ref in alive) <= 3, outcome


@pytest.mark.parametrize("error", [MemoryError(), MemoryShortageError("must fit, got 2 GB"), CAUGHT["cuda"]])
def test_case_that_lacks_memory_beside_another_one_is_read_again_alone(error: Exception) -> None:
    busy, tries = threading.Event(), list[tuple[int, bool]]()

    def read(case: Numbered) -> int:
        if case.number == 1:
            is_beside = bool(tries) is False and busy.wait(WAIT_S)
            tries.append((case.number, is_beside))
            if is_beside:
                raise error
        return case.number

    def make(case: Numbered, read: int) -> int:
        busy.set()
        return read

    assert [one.result for one in run(many(3), stages(read=read, make=make, write=lambda case, made: made))] == [
        0,
        1,
        2,
    ]
    assert tries == [(1, True), (1, False)]


def test_case_that_lacks_memory_while_the_next_one_is_read_is_made_again_alone() -> None:
    ahead, reads, makes = threading.Event(), list[int](), list[int]()

    def read(case: Numbered) -> int:
        reads.append(case.number)
        if case.number == 1:
            ahead.set()
        return case.number

    def make(case: Numbered, read: int) -> int:
        makes.append(case.number)
        if makes == [0]:
            assert ahead.wait(WAIT_S)
            raise MemoryError
        return read

    assert [one.result for one in run(many(3), stages(read=read, make=make, write=lambda case, made: made))] == [
        0,
        1,
        2,
    ]
    assert makes == [0, 0, 1, 2]
    assert reads == [0, 1, 0, 1, 2]


@pytest.mark.parametrize("place", ["read", "make"])
def test_case_that_lacks_memory_alone_too_is_a_failure_after_two_tries(place: str) -> None:
    tries: list[int] = []

    def hungry(case: Numbered, *before: Any) -> int:
        tries.append(case.number)
        if case.number == 1:
            raise MemoryError
        return case.number

    results = [one.result for one in run(many(3), stages(**{place: hungry}))]
    assert [isinstance(result, Failure) for result in results] == [False, True, False]
    assert "memory must hold it" in results[1].reason
    assert tries.count(1) == 2


def test_only_case_that_lacks_memory_is_not_tried_again() -> None:
    tries: list[int] = []

    def hungry(case: Numbered) -> int:
        tries.append(case.number)
        raise MemoryError

    (outcome,) = run(many(1), stages(read=hungry))
    assert isinstance(outcome.result, Failure)
    assert tries == [0]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupt_while_a_case_is_made_writes_the_one_before_and_begins_no_more(kind: type[BaseException]) -> None:
    begun, written = list[int](), list[int]()

    def make(case: Numbered, read: int) -> int:
        if case.number == 2:
            raise kind
        return read

    def write(case: Numbered, made: int) -> int:
        time.sleep(0.05)
        written.append(case.number)
        return made

    def read(case: Numbered) -> int:
        begun.append(case.number)
        return case.number

    with pytest.raises(kind):
        run(many(9), stages(read=read, make=make, write=write))
    assert written == [0, 1]
    assert begun in ([0, 1, 2], [0, 1, 2, 3])
    assert threads_of_stages() == []


def test_stream_that_is_closed_early_writes_what_it_has_begun_and_leaves_no_thread() -> None:
    written: list[int] = []

    def write(case: Numbered, made: int) -> int:
        written.append(case.number)
        return made

    with closing(pipeline_cases(many(9), stages(write=write))) as ended:
        assert next(ended).case_id == "c0"
    assert written == [0]
    assert threads_of_stages() == []


def test_no_cases_are_no_work() -> None:
    assert run([], stages(read=lambda case: pytest.fail("there is nothing to read"))) == []
