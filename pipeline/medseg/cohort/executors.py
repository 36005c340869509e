"""Executors for work on many items: in this thread, in threads, in processes, or in an `Executor` of your own."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures import Executor as Pool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from medseg.errors import PipelineError

Item = TypeVar("Item")
Result = TypeVar("Result")

_SUBMITTED_PER_WORKER = 2  # one in work and one waiting, so that no worker idles while a result is consumed


class LostItem(NamedTuple):
    """An item that has no result, since whatever worked on it died.

    Attributes:
        error: What happened.
    """

    error: PipelineError


class LackedMemory(NamedTuple):
    """Outcome of an item whose work lacked memory, and may not do so once other work has ended.

    Attributes:
        outcome: What the work gave.
    """

    outcome: Any


class Executor(Protocol):
    """Anything that runs the same work on many items. Dask or another cluster enter by a class with this one method."""

    def run(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Generator[tuple[int, Result | LostItem], None, None]:
        """Do the work on every item.

        Args:
            work: Function that is called once with each item.
            items: Items to work on.

        Yields:
            Place of each item and its result as it ends, in any order; the executor keeps no result after it. One whose
            workers may die alone yields `LostItem` for an item that they die of.

        Raises:
            BaseException: The first error of the work. An error or closing the generator cancels items not yet begun.
        """


@dataclass(frozen=True, slots=True)
class SerialExecutor:
    """One item after the other in the calling thread, each on demand."""

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """Do the work on every item, in order."""
        for place, item in enumerate(items):
            yield place, work(item)


@dataclass(frozen=True, slots=True)
class ThreadExecutor:
    """Threads of this process, for work that reads, writes or computes in libraries that release Python's lock.

    Attributes:
        workers: Number of threads.
    """

    workers: int

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """Do the work on every item, in the order in which they end."""
        yield from _run_in(ThreadPoolExecutor(self.workers), self.workers, work, items)


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """Separate processes, which share neither Python's lock nor memory; work, items and results must be picklable.

    They are spawned, since a fork of a process with threads or CUDA may hang. A process that is killed, as for lack of
    memory, ends the run with `BrokenProcessPool`.

    Attributes:
        workers: Number of processes.
    """

    workers: int

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """Do the work on every item, in the order in which they end."""
        pool = ProcessPoolExecutor(
            self.workers,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=signal.signal,
            initargs=(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C reaches the caller, which lets running cases end
        )
        yield from _run_in(pool, self.workers, work, items)


SERIAL = SerialExecutor()
TWO_THREADS = ThreadExecutor(2)


def map_in_order(executor: Executor, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Results of all items in their order, for work that turns the failure of an item into a result.

    Raises:
        PipelineError: If the executor has lost an item.
    """
    results: list[tuple[int, Result]] = []
    with closing(executor.run(work, items)) as ended:
        for place, result in ended:
            if isinstance(result, LostItem):
                raise result.error
            results.append((place, result))
    return [result for _, result in sorted(results, key=lambda pair: pair[0])]


def _run_in(
    pool: Pool, workers: int, work: Callable[[Item], Result], items: Sequence[Item]
) -> Generator[tuple[int, Result], None, None]:
    """Submit only a few items ahead of those in work: waiting results must not fill the memory.

    An interruption does not wait for threads, whose items may take minutes: they end by themselves or with the process.
    """
    waiting = iter(enumerate(items))
    pending: dict[Future[Result], int] = {}
    is_awaited = True
    try:
        while True:
            for place, item in islice(waiting, _SUBMITTED_PER_WORKER * workers - len(pending)):
                pending[pool.submit(work, item)] = place
            if not pending:
                return
            ended = wait(pending, return_when=FIRST_COMPLETED).done
            future = min(ended, key=pending.__getitem__)
            del ended
            place = pending.pop(future)
            yield place, future.result()
            del future
    except KeyboardInterrupt:
        is_awaited = isinstance(pool, ProcessPoolExecutor)
        raise
    finally:
        pool.shutdown(wait=is_awaited, cancel_futures=True)
