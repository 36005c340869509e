"""The workers on all machines of a cluster: begun, replaced when they die, and ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from medseg.cohort.cluster.machine import Share, WorkerShare
from medseg.cohort.cluster.open_cluster import Cluster
from medseg.cohort.cluster.worker import Worker
from medseg.errors import ClusterError

_LOOK_S = 5.0
_MOST_STARTS = 3
_PATIENCE_S = 120.0
_END_S = 20.0


@dataclass(slots=True, eq=False)
class Member:
    """A worker.

    Attributes:
        node_id: Machine of the worker.
        share: What it is given of the machine.
        actor: Ray's handle of its process.
        starting: What is known once the process runs; None from then on.
        work: Place of each item that it works on, by what will be its result.
    """

    node_id: str
    share: WorkerShare
    actor: Any
    starting: Any
    work: dict[Any, int] = field(default_factory=dict)

    @property
    def places(self) -> list[int]:
        """Items that it works on, by their places."""
        return list(self.work.values())


class Crew:
    """The workers of one cohort.

    Args:
        cluster: Cluster that they run on.
        work: Work that each of them does.
        share: What each is given.
        at_once: Items that each may work on at once.
        most: Largest number of workers; as many as fit if not given.
    """

    def __init__(
        self, cluster: Cluster, work: Callable[[Any], Any], share: Share, *, at_once: int, most: int | None
    ) -> None:
        self._cluster, self._ray = cluster, cluster.ray
        self._share, self._at_once, self._most = share, at_once, most
        self._work = self._ray.put(work)
        self._machines: set[str] = set()
        self._failed_starts: Counter[str] = Counter()
        self._next_look = 0.0
        self._idle_since = time.monotonic()
        self.members: list[Member] = []

    @property
    def ready(self) -> list[Member]:
        """Workers that run."""
        return [member for member in self.members if member.starting is None]

    def renew(self) -> None:
        """Now and then look for machines that have joined, and begin workers there.

        Raises:
            ClusterError: If there has been no worker for some minutes.
        """
        if self.ready:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > _PATIENCE_S:
            raise ClusterError(
                f"cluster must have free cores or GPUs for work, got none for {_PATIENCE_S:.0f} s",
                remedy="add a machine with `ray start`, or wait for the end of other work; then give the command again",
            )
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        machines = self._cluster.machines()
        self._machines &= {machine.node_id for machine in machines}
        on_gpus = any(machine.gpus for machine in machines)
        for machine in machines:
            shares = machine.workers(self._share, on_gpus=on_gpus)
            if machine.node_id in self._machines or not shares or not machine.answers():
                continue
            self._machines.add(machine.node_id)
            for share in shares:
                self._begin(machine.node_id, share)

    def give(self, place: int, item: Any, member: Member) -> None:
        """Let a worker begin with an item."""
        member.work[member.actor.run.remote(item)] = place

    def wait(self, seconds: float) -> list[tuple[Member, Any]]:
        """Workers with what has ended in them within some time: work, or their start."""
        owners = {one: member for member in self.members for one in (*member.work, member.starting) if one is not None}
        if not owners:
            time.sleep(seconds)
            return []
        ended, _ = self._ray.wait(list(owners), num_returns=1, timeout=seconds)
        return [(owners[one], one) for one in ended]

    def started(self, member: Member) -> None:
        """Note that a worker runs."""
        member.starting = None
        self._failed_starts[member.node_id] = 0

    def bury(self, member: Member) -> bool:
        """Forget a worker that died, and begin another on its machine.

        Returns:
            Whether its machine is lost, too.
        """
        self._ray.kill(member.actor)  # one that only cannot be reached must not write any more
        self.members.remove(member)
        is_lost = not any(one.node_id == member.node_id and one.answers() for one in self._cluster.machines())
        if is_lost:
            self._machines.discard(member.node_id)
        self._failed_starts[member.node_id] += member.starting is not None
        if not is_lost and self._failed_starts[member.node_id] < _MOST_STARTS:
            self._begin(member.node_id, member.share)
        return is_lost

    def dismiss(self) -> None:
        """End all workers, at once, and wait until they are gone."""
        left = [one for member in self.members for one in (*member.work, member.starting) if one is not None]
        for member in self.members:
            self._ray.kill(member.actor)
        self.members.clear()
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=_END_S)

    def _begin(self, node_id: str, share: WorkerShare) -> None:
        if self._most is not None and len(self.members) >= self._most:
            return
        place = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id, soft=False)
        actor = (
            self._ray.remote(Worker)
            .options(
                num_cpus=share.cores,
                num_gpus=share.gpus,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=self._at_once,
                scheduling_strategy=place,
            )
            .remote(self._work, self._cluster.view.folder)
        )
        self.members.append(Member(node_id, share, actor, actor.ready.remote()))
