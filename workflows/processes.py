"""Commands that a launcher such as torchrun starts several times over, for the processes of one training."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_TOLD = "medseg/told"


@contextmanager
def joined(device: str) -> Iterator[bool]:
    """Join the other processes of the launcher, and leave them at the end; a command started by itself is alone.

    The first error of all processes is told by the process that has it; the others, which end for it, say nothing.

    Args:
        device: Device of the training.

    Yields:
        Whether this process is the one that speaks.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield True
        return
    os.environ.pop("SLURM_JOB_ID", None)  # ignite would number the processes by srun, which started launchers alone
    import torch
    from medseg.training.ranks import is_first_rank, join_processes, leave_processes

    is_on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    store = join_processes(local_rank=int(os.environ.get("LOCAL_RANK", "0")), is_on_gpu=is_on_gpu)
    is_first = is_first_rank()
    if not is_first:
        logging.getLogger().setLevel(logging.ERROR)
    _stop_once()
    try:
        yield is_first
        leave_processes()
    except Exception as error:
        if not _is_to_tell(error, store, is_first=is_first):
            sys.exit(1)
        raise
    except KeyboardInterrupt:
        if not is_first or _is_told(store):
            sys.exit(130)
        raise


def _is_to_tell(error: Exception, store: Store, *, is_first: bool) -> bool:
    """Whether this process tells its error: the first one that has an error of its own."""
    from medseg.errors import LostProcessError

    if isinstance(error, LostProcessError):
        return is_first and not _is_told(store)
    with suppress(RuntimeError):  # the store has ended with the launcher
        return store.add(_TOLD, 1) == 1
    return is_first


def _is_told(store: Store) -> bool:
    """Whether any process has told an error."""
    with suppress(RuntimeError):
        return store.add(_TOLD, 0) > 0
    return False


def _stop_once() -> None:
    """Take the first signal to stop alone.

    A launcher passes on the signals that the terminal or the scheduler has sent to all of its processes, and sends one
    when a process has failed: neither must end the saving that has begun.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopping(signal.getsignal(number)))


def _stopping(then: Any) -> Callable[[int, FrameType | None], None]:
    """A handler that does what was done before, once."""

    def stop(number: int, frame: FrameType | None) -> None:
        from medseg.errors import LostProcessError

        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        if callable(then) and not isinstance(sys.exc_info()[1], LostProcessError):
            then(number, frame)

    return stop
