"""What the processes of a distributed training tell each other; a single process tells itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import ignite.distributed as idist
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from medseg.errors import ConfigError, LostProcessError

Anything = TypeVar("Anything")
_is_apart: ContextVar[bool] = ContextVar("is_apart", default=False)
_LONGEST_WAIT = timedelta(days=7)  # for a process that prepares a large dataset, or delivers


def join_processes(*, local_rank: int, is_on_gpu: bool) -> Store:
    """Join the processes that the launcher has started, with a GPU for each if they train on GPUs.

    Numbers and decisions go through the CPU (gloo), so that none waits for a GPU; gradients of a GPU go from GPU to GPU
    (NCCL). A process that waits for another is not given up.

    Args:
        local_rank: Number of this process on its machine.
        is_on_gpu: Whether the training is on GPUs.

    Returns:
        The launcher's store, in which processes can leave each other words.

    Raises:
        ConfigError: If the machine has fewer GPUs than processes.
    """
    if is_on_gpu and local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"processes: every one of a machine must have a GPU, got {torch.cuda.device_count()}",
            remedy="start as many processes as there are GPUs, or choose cpu",
        )
    if is_on_gpu:
        torch.cuda.set_device(local_rank)
    store: Store
    store, rank, processes = next(iter(rendezvous("env://", timeout=_LONGEST_WAIT)))
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if is_on_gpu else "gloo",
        store=store,
        rank=rank,
        world_size=processes,
        timeout=_LONGEST_WAIT,
    )
    idist.sync()
    return store


def leave_processes() -> None:
    """Leave the other processes when all have come this far."""
    wait_for_all()
    idist.finalize()


def is_alone() -> bool:
    """Whether the training has a single process, or this one works by itself at the moment."""
    return _is_apart.get() or bool(idist.get_world_size() == 1)


@contextmanager
def working_alone() -> Iterator[None]:
    """What one process does while the others wait for it, such as steps that are measured for a plan."""
    before = _is_apart.set(True)
    try:
        yield
    finally:
        _is_apart.reset(before)


def is_first_rank() -> bool:
    """Whether this process is the one that plans, prepares, reports and writes files."""
    return bool(idist.get_rank() == 0)


def of_first_rank(value: float) -> float:
    """The first process's value, in every process: clocks differ, and all have to stop at the same step.

    In a single process it is the value itself. Every process has to call this at the same place.
    """
    if is_alone():
        return value
    told = torch.tensor(value, dtype=torch.float64)
    with _talking():
        dist.broadcast(told, src=0)
    return float(told)


def said_by_first_rank(what: Anything | None) -> Anything:
    """What the first process says, in every process; the others wait for it."""
    said: list[Any] = [what]
    if not is_alone():
        with _talking():
            dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
    answer: Anything = said[0]
    return answer


def said_by_all(what: Anything) -> list[Anything]:
    """What every process says, in the order of their ranks, in every process."""
    if is_alone():
        return [what]
    said: list[Any] = [None] * int(idist.get_world_size())
    with _talking():
        dist.all_gather_object(said, what)
    return said


def said_to_first_rank(what: Anything) -> list[Anything]:
    """What every process says, in the order of their ranks, in the first process; nothing in the others."""
    if is_alone():
        return [what]
    said: list[Any] | None = [None] * int(idist.get_world_size()) if is_first_rank() else None
    with _talking():
        dist.gather_object(what, said, dst=0)
    return said or []


def any_rank(flag: bool) -> bool:
    """Whether the flag is set in any process."""
    return flag if is_alone() else bool(summed(torch.tensor(float(flag))) > 0)


def wait_for_all() -> None:
    """Wait until all processes have come this far; a single process does not wait."""
    any_rank(False)


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over all processes, as a new tensor without a gradient."""
    total = value.detach().clone()
    if not is_alone():
        with _talking():
            dist.all_reduce(total)
    return total


def take_weights_of_first_rank(network: nn.Module) -> None:
    """Make parameters and buffers those of the first process, which may have begun with an earlier run's."""
    if is_alone():
        return
    with torch.no_grad(), _talking():
        for tensor in (*network.parameters(), *network.buffers()):
            same = tensor.detach().contiguous()
            dist.broadcast(same, src=0)
            tensor.copy_(same)


def processes_on_this_machine() -> int:
    """Processes of the training that share the memory of this machine."""
    return max(1, int(idist.get_nproc_per_node()))


@contextmanager
def _talking() -> Iterator[None]:
    """Tell a lost process from other errors.

    Raises:
        LostProcessError: If another process has ended in the meantime.
    """
    try:
        yield
    except RuntimeError as error:
        processes = idist.get_world_size()
        raise LostProcessError(
            f"training: all of its {processes} processes must last to the end, got one that has ended"
        ) from error
