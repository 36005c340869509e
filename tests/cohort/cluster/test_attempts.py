"""Which item is given to which worker, without any cluster."""

from __future__ import annotations

from dataclasses import dataclass, field

from medseg.cohort.cluster.attempts import MOST_DEATHS, MOST_LOSSES, Attempts
from medseg.cohort.cluster.machine import Machine, WorkerShare


@dataclass(eq=False)
class Seat:
    """A worker on a machine."""

    node_id: str
    places: list[int] = field(default_factory=list)


def given(attempts: Attempts, seats: list[Seat]) -> list[tuple[int, int]]:
    """Give out all that can be given; item and number of its seat."""
    out = []
    while (one := attempts.give(seats)) is not None:
        place, seat = one
        number = next(n for n, other in enumerate(seats) if other is seat)
        seats[number].places.append(place)
        out.append((place, number))
    return out


def died(attempts: Attempts, seat: Seat, *, is_machine_lost: bool = False) -> list[int]:
    places, seat.places = seat.places, []
    return attempts.worker_died(places, seat.node_id, is_machine_lost=is_machine_lost)


def test_items_are_spread_over_idle_workers_first() -> None:
    attempts, seats = Attempts.of(5, at_once=2), [Seat("a"), Seat("b")]
    assert given(attempts, seats) == [(0, 0), (1, 1), (2, 0), (3, 1)]
    assert attempts.waiting == 1


def test_item_of_a_dead_worker_is_alone_in_the_next_one_and_on_another_machine() -> None:
    attempts, seats = Attempts.of(9, at_once=2), [Seat("a"), Seat("b")]
    given(attempts, seats)
    assert died(attempts, seats[0]) == []
    seats[1].places.clear()
    assert given(attempts, seats) == [(0, 1), (2, 0)]


def test_worker_that_an_item_waits_for_is_given_nothing_new() -> None:
    attempts, seats = Attempts.of(9, at_once=2), [Seat("a"), Seat("a")]
    given(attempts, seats)
    died(attempts, seats[0])
    seats[0].places = [8]  # work that goes on
    seats[1].places = [7]
    assert given(attempts, seats) == []


def test_third_attempt_has_the_machine_for_itself() -> None:
    attempts, seats = Attempts.of(9, at_once=1), [Seat("a"), Seat("a"), Seat("b")]
    given(attempts, seats)
    died(attempts, seats[0])
    seats[2].places.clear()
    assert given(attempts, seats) == [(0, 2), (3, 0)]
    died(attempts, seats[2])
    assert given(attempts, seats) == [(4, 2)]  # machine a is to be idle first
    seats[0].places.clear()
    seats[1].places.clear()
    assert given(attempts, seats) == [(0, 0)]


def test_item_that_ends_its_third_worker_is_given_up() -> None:
    attempts, seat = Attempts.of(1, at_once=1), Seat("a")
    for death in range(1, MOST_DEATHS + 1):
        assert given(attempts, [seat]) == [(0, 0)]
        assert died(attempts, seat) == ([0] if death == MOST_DEATHS else [])
    assert attempts.waiting == 0


def test_lost_machines_are_not_the_item_s_fault_for_long() -> None:
    attempts, seat = Attempts.of(1, at_once=1), Seat("a")
    for loss in range(1, MOST_LOSSES + 1):
        assert given(attempts, [seat]) == [(0, 0)]
        assert died(attempts, seat, is_machine_lost=True) == ([0] if loss == MOST_LOSSES else [])


def test_work_that_lacks_memory_is_tried_alone_and_then_believed() -> None:
    attempts, seat = Attempts.of(2, at_once=2), Seat("a")
    given(attempts, [seat])
    assert attempts.lacks_memory(0, "a")
    seat.places.remove(0)
    assert given(attempts, [seat]) == []  # the other item is in work
    seat.places.clear()
    assert given(attempts, [seat]) == [(0, 0)]
    assert attempts.lacks_memory(0, "a")
    seat.places.clear()
    assert given(attempts, [seat]) == [(0, 0)]
    assert not attempts.lacks_memory(0, "a")


def test_networks_get_a_gpu_or_about_four_cores() -> None:
    small, large, none = (Machine("id", "name", 1, cores, 0) for cores in (2, 10, 0))
    assert small.workers("device") == [WorkerShare(2, 0)]
    assert large.workers("device") == [WorkerShare(5, 0)] * 2
    assert none.workers("device") == []
    with_gpus = Machine("id", "name", 1, 12, 2)
    assert with_gpus.workers("device", on_gpus=True) == [WorkerShare(4, 1)] * 2
    assert large.workers("device", on_gpus=True) == []
    assert with_gpus.workers("cores", on_gpus=True) == [WorkerShare(4, 0)] * 3


def test_other_work_gets_a_core_each() -> None:
    assert Machine("id", "name", 1, 3, 1).workers("core") == [WorkerShare(1, 0)] * 3
