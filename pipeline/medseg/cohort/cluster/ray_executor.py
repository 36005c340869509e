"""Work on many items by the machines of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from medseg.cohort.cluster.attempts import MOST_DEATHS, Attempts
from medseg.cohort.cluster.crew import Crew, Member
from medseg.cohort.cluster.machine import Share
from medseg.cohort.cluster.open_cluster import Cluster
from medseg.cohort.cluster.worker import log_again
from medseg.cohort.executors import LackedMemory, LostItem
from medseg.errors import ClusterError

Item = TypeVar("Item")
Result = TypeVar("Result")

_WAIT_S = 0.5


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Processes on the machines of a cluster, which keep what the work loads from one item to the next.

    Work, items and results must be picklable, and small: arrays stay in files that all machines see. The work is sent
    once to each process. An item whose process dies is given to another one, then to one that does nothing else, then
    alone to a machine; one that ended three is a `LostItem`. A machine that is lost costs its items nothing but the
    time, and one that joins takes part. Warnings of the processes are logged here.

    Attributes:
        cluster: The cluster.
        share: What each process is given; see `Share`.
        at_once: Items that a process works on at once, each in a thread of its own.
        most: Largest number of processes; as many as fit if not given.
    """

    cluster: Cluster
    share: Share = "core"
    at_once: int = 1
    most: int | None = None

    def run(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Generator[tuple[int, Result | LostItem], None, None]:
        """Do the work on every item, in the order in which they end.

        Raises:
            ClusterError: If no machine is left.
            BaseException: The first error of the work.
        """
        if not items:
            return
        crew = Crew(self.cluster, work, self.share, at_once=self.at_once, most=self.most)
        attempts = Attempts.of(len(items), at_once=self.at_once)
        left = len(items)
        try:
            while left:
                crew.renew()
                while (given := attempts.give(crew.ready)) is not None:
                    place, seat = given
                    crew.give(place, items[place], next(one for one in crew.ready if one is seat))
                for member, ended in crew.wait(_WAIT_S):
                    for done in _outcomes(self.cluster.ray, crew, attempts, member, ended):
                        left -= 1
                        yield done
        finally:
            crew.dismiss()


def _outcomes(ray: Any, crew: Crew, attempts: Attempts, member: Member, ended: Any) -> list[tuple[int, Any]]:
    """What came of the items that are done, with what ended in a worker."""
    try:
        answer = ray.get(ended)
    except ray.exceptions.TaskCancelledError as error:  # as Ray calls an interrupt of the work
        raise KeyboardInterrupt from error
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        return _after_death(crew, attempts, member, error)
    if answer is None:
        crew.started(member)
        return []
    place = member.work.pop(ended)
    log_again(answer.warnings)
    result = answer.result
    if isinstance(result, LackedMemory) and attempts.lacks_memory(place, member.node_id):
        return []
    return [(place, result)]


def _after_death(crew: Crew, attempts: Attempts, member: Member, error: Exception) -> list[tuple[int, Any]]:
    """The items that are given up, after a worker died."""
    places = member.places
    is_machine_lost = crew.bury(member) or "node has died" in str(error)
    lost = attempts.worker_died(places, member.node_id, is_machine_lost=is_machine_lost)
    what = "lost machines" if is_machine_lost else f"{MOST_DEATHS} that died"
    return [
        (
            place,
            LostItem(
                ClusterError(
                    f"its workers must live until it is done, got {what}, killed or crashed",
                    remedy="give it a machine with more memory, or leave it out",
                )
            ),
        )
        for place in lost
    ]
