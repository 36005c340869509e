"""What goes into the runner comes out or is listed, in order, wherever the work runs."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.cohort import (
    SERIAL,
    Executor,
    ProcessExecutor,
    SerialExecutor,
    ThreadExecutor,
    iterate_cases,
    map_in_order,
    run_cases,
)
from medseg.records import Failure

from tests.cohort.works import CAUGHT, Backwards, Numbered, double, misspelt, process_of

HERE: list[Executor] = [SERIAL, ThreadExecutor(1), ThreadExecutor(3), Backwards()]
MIXED = [Numbered(f"c{n}", n, error) for n, error in enumerate(["", *CAUGHT, "", ""])]
executors = pytest.mark.parametrize("executor", HERE, ids=repr)


@st.composite
def any_cases(draw: st.DrawFn) -> list[Numbered]:
    """Cases that succeed or fail; their names may repeat."""
    errors = draw(st.lists(st.sampled_from(["", "", *CAUGHT]), max_size=12))
    return [Numbered(draw(st.sampled_from("abcdefgh")), n, error) for n, error in enumerate(errors)]


@given(cases=any_cases(), workers=st.integers(1, 5))
def test_every_case_comes_out_or_is_listed_in_order(cases: list[Numbered], workers: int) -> None:
    for executor in (SERIAL, ThreadExecutor(workers), Backwards()):
        seen: list[str] = []
        done = run_cases(cases, double, stage="count", executor=executor, on_done=seen.append)
        assert done.results == tuple(2 * case.number for case in cases if not case.error)
        assert done.case_ids == tuple(case.case_id for case in cases if not case.error)
        assert done.failures == tuple(
            Failure.of(case.case_id, "count", CAUGHT[case.error]) for case in cases if case.error
        )
        assert sorted(seen) == sorted(case.case_id for case in cases)


@given(cases=any_cases(), executor=st.sampled_from(HERE))
def test_stream_holds_each_place_once_with_its_own_case(cases: list[Numbered], executor: Executor) -> None:
    outcomes = list(iterate_cases(cases, double, stage="count", executor=executor))
    assert sorted(one.place for one in outcomes) == list(range(len(cases)))
    for one in outcomes:
        assert one.case_id == cases[one.place].case_id
        assert isinstance(one.result, Failure) == bool(cases[one.place].error)


def test_processes_give_what_one_after_the_other_gives() -> None:
    assert run_cases(MIXED, double, stage="count", executor=ProcessExecutor(2)) == run_cases(
        MIXED, double, stage="count"
    )


def test_processes_are_other_processes() -> None:
    done = run_cases(MIXED, process_of, stage="count", executor=ProcessExecutor(2))
    assert os.getpid() not in done.results
    assert len(set(done.results)) <= 2


@given(st.lists(st.integers(), max_size=20), st.sampled_from(HERE))
def test_map_keeps_the_order(items: list[int], executor: Executor) -> None:
    assert map_in_order(executor, lambda item: item + 1, items) == [item + 1 for item in items]


def test_failures_say_stage_case_and_reason() -> None:
    done = run_cases(MIXED, double, stage="count")
    reasons = {failure.case_id: failure.reason for failure in done.failures}
    assert {failure.stage for failure in done.failures} == {"count"}
    assert reasons["c1"] == "case c1: image must be whole, got half; export it again"
    assert "memory must hold it, got: MemoryError" in reasons["c3"]
    assert "out of memory" in reasons["c4"]
    assert "\n" not in reasons["c4"]


def test_reason_of_a_file_that_cannot_be_read_does_not_name_it() -> None:
    done = run_cases([Numbered("a", 0, "file")], double, stage="count")
    (failure,) = done.failures
    assert failure.reason == (
        "case a: its files must be readable and writable, got: Permission denied; fix that and run again"
    )


def test_results_are_found_by_the_name_of_their_case() -> None:
    assert run_cases(MIXED, double, stage="count").by_id() == {"c0": 0, "c7": 14, "c8": 16}


@executors
def test_mistake_in_the_code_surfaces(executor: Executor) -> None:
    with pytest.raises(KeyError, match="nmber"):
        run_cases(MIXED, misspelt, stage="count", executor=executor)


def test_mistake_in_another_process_surfaces() -> None:
    with pytest.raises(KeyError, match="nmber"):
        run_cases(MIXED, misspelt, stage="count", executor=ProcessExecutor(1))


def many(count: int = 200) -> list[Numbered]:
    return [Numbered(str(n), n) for n in range(count)]


def stopping(kind: type[BaseException], begun: list[int]) -> Callable[[Numbered], int]:
    """Work that notes what it begins and is stopped in the sixth case."""

    def work(case: Numbered) -> int:
        begun.append(case.number)
        if case.number == 5:
            raise kind
        return case.number

    return work


@executors
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, TypeError])
def test_what_stops_the_work_surfaces_and_nothing_more_begins(executor: Executor, kind: type[BaseException]) -> None:
    begun: list[int] = []
    with pytest.raises(kind):
        run_cases(many(), stopping(kind, begun), stage="count", executor=executor)
    if not isinstance(executor, Backwards):
        assert len(begun) <= 6 + 2 * getattr(executor, "workers", 0)


@pytest.mark.parametrize("executor", [SERIAL, ThreadExecutor(1), ThreadExecutor(3)], ids=repr)
def test_interrupt_while_the_caller_hears_of_a_case_cancels_what_has_not_begun(executor: Executor) -> None:
    begun: list[int] = []
    heard: list[str] = []

    def hear(case_id: str) -> None:
        heard.append(case_id)
        if len(heard) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cases(many(), lambda case: begun.append(case.number), stage="count", executor=executor, on_done=hear)
    count = len(begun)
    assert count <= 4 + 2 * getattr(executor, "workers", 0)
    time.sleep(0.05)
    assert len(begun) == count  # nothing goes on behind the caller's back


def test_interruption_does_not_wait_for_cases_in_work_which_end_by_themselves() -> None:
    may_end, has_ended = threading.Event(), threading.Event()
    both = threading.Barrier(2)

    def work(case: Numbered) -> None:
        both.wait(timeout=10)
        if case.number == 0:
            raise KeyboardInterrupt
        may_end.wait(timeout=10)
        has_ended.set()

    with pytest.raises(KeyboardInterrupt):
        run_cases(many(2), work, stage="count", executor=ThreadExecutor(2))
    assert not has_ended.is_set()
    may_end.set()
    assert has_ended.wait(timeout=10)


@executors
def test_caller_hears_of_cases_in_its_own_thread(executor: Executor) -> None:
    threads: set[int] = set()
    run_cases(
        MIXED, double, stage="count", executor=executor, on_done=lambda case_id: threads.add(threading.get_ident())
    )
    assert threads == {threading.get_ident()}


def test_caller_hears_of_each_case_before_the_next_begins_in_series() -> None:
    story: list[str] = []
    cases = many(3)
    run_cases(cases, lambda case: story.append(f"work {case.case_id}"), stage="count", on_done=story.append)
    assert story == ["work 0", "0", "work 1", "1", "work 2", "2"]


def test_threads_work_side_by_side() -> None:
    together = threading.Barrier(3)
    done = run_cases(many(3), lambda case: together.wait(timeout=10), stage="count", executor=ThreadExecutor(3))
    assert sorted(done.results) == [0, 1, 2]


class Volume:
    """Something large."""


@pytest.mark.parametrize("executor", [SERIAL, ThreadExecutor(1), ThreadExecutor(2)], ids=repr)
def test_stream_keeps_no_result_that_was_handed_over(executor: Executor) -> None:
    alive: weakref.WeakSet[Volume] = weakref.WeakSet()

    def work(case: Numbered) -> Volume:
        volume = Volume()
        alive.add(volume)
        return volume

    with closing(iterate_cases(many(50), work, stage="count", executor=executor)) as outcomes:
        for outcome in outcomes:
            del outcome
            # What the threads have finished ahead, and the one that the generator hands over.
            assert len(alive) <= 1 + 2 * getattr(executor, "workers", 0)


def test_series_holds_no_result_while_the_next_is_made() -> None:
    alive: weakref.WeakSet[Volume] = weakref.WeakSet()

    def work(case: Numbered) -> Volume:
        assert not alive
        volume = Volume()
        alive.add(volume)
        return volume

    for outcome in iterate_cases(many(5), work, stage="count", executor=SERIAL):
        assert isinstance(outcome.result, Volume)
        del outcome


def test_only_a_few_cases_are_submitted_ahead_of_a_slow_caller() -> None:
    begun: list[int] = []
    outcomes = iterate_cases(many(), lambda case: begun.append(case.number), stage="count", executor=ThreadExecutor(2))
    next(outcomes)
    time.sleep(0.1)
    assert len(begun) <= 4
    outcomes.close()
    assert len(begun) <= 4


@executors
def test_arrays_of_a_failed_case_are_freed(executor: Executor) -> None:
    alive: weakref.WeakSet[Volume] = weakref.WeakSet()

    def work(case: Numbered) -> None:
        volume = Volume()
        alive.add(volume)
        raise MemoryError

    done = run_cases(MIXED, work, stage="count", executor=executor)
    assert len(done.failures) == len(MIXED)
    assert not alive


@executors
def test_no_cases_are_no_work(executor: Executor) -> None:
    assert run_cases([], double, stage="count", executor=executor) == run_cases([], double, stage="count")


def test_executors_are_equal_by_what_they_do() -> None:
    assert SerialExecutor() == SERIAL
    assert ThreadExecutor(2) == ThreadExecutor(2) != ThreadExecutor(3)


@settings(max_examples=20)
@given(count=st.integers(0, 30), workers=st.integers(1, 4))
def test_stream_that_is_closed_early_leaves_no_thread(count: int, workers: int) -> None:
    before = threading.active_count()
    with closing(iterate_cases(many(count), double, stage="count", executor=ThreadExecutor(workers))) as outcomes:
        next(outcomes, None)
    assert threading.active_count() == before
