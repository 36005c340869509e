"""Decisions that all processes of a distributed training share."""

from __future__ import annotations

import ignite.distributed as idist


def is_first_rank() -> bool:
    """Whether this process is the one that validates and writes files."""
    return bool(idist.get_rank() == 0)


def of_first_rank(value: float) -> float:
    """The first process's value, in every process: clocks differ, and all have to stop at the same step.

    In a single process it is the value itself. Every process has to call this at the same place.
    """
    return value if idist.get_world_size() == 1 else float(idist.broadcast(value, src=0))


def wait_for_first_rank() -> None:
    """Wait until all processes have come this far; a single process does not wait."""
    if idist.get_world_size() > 1:
        idist.barrier()


def processes_on_this_machine() -> int:
    """Processes of the training that share the memory of this machine."""
    return max(1, int(idist.get_nproc_per_node()))
