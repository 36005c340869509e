"""Batches of samples, read ahead by threads where that pays."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from medseg.training.config import OptimisationConfig
from medseg.training.ranks import of_first_rank, processes_on_this_machine
from medseg.training.share import own_share

Batch = dict[str, Tensor]
_CPU = torch.device("cpu")
_MOST_LOADERS = 8
_FEWEST_READ = 16  # batches, before reading is found to take too long
_READING_SHARE = 0.25


class Samples(Protocol):
    """An endless, reproducible sequence of samples."""

    @property
    def config(self) -> OptimisationConfig:
        """Settings that hold the batch size."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`."""


class Phased(NamedTuple):
    """A batch of one phase of a training.

    Attributes:
        phase: Number of the phase.
        batch: Batch of its samples.
    """

    phase: int
    batch: Batch


def batches(
    samples: Samples, *, first_step: int, device: torch.device = _CPU, loaders: int | None = None
) -> Iterator[Batch]:
    """Endless batches from a step on, in order; a reader's error is raised here.

    For a GPU they are read ahead by threads. On a CPU a reading thread and the threads of the training wait for each
    other, which costs more than the reading does (`benchmarks/README.md`), so that batches are read when they are asked
    for, as long as that takes less than a quarter of the time; where it takes more, a slow disk say, one thread reads.

    In a distributed training every process reads its own share of each batch.

    Args:
        samples: Samples, taken in order of their number.
        first_step: Number of the first batch.
        device: Device that batches are for; those for a GPU lie in pinned memory.
        loaders: Reading threads, if not by the rule above; for a GPU there are as many as cores, at most 8.
    """
    for phased in phased_batches([samples], lambda step: 0, first_step=first_step, device=device, loaders=loaders):
        yield phased.batch


def phased_batches(
    samples: Sequence[Samples],
    phase_at: Callable[[int], int],
    *,
    first_step: int,
    device: torch.device = _CPU,
    loaders: int | None = None,
) -> Iterator[Phased]:
    """The same, of a training whose phases take other samples.

    Args:
        samples: Samples of each phase.
        phase_at: Function that gives the phase of a step; it is called when the step's batch is begun.
        first_step: Number of the first batch.
        device: Device that batches are for.
        loaders: Reading threads.
    """
    is_cuda = device.type == "cuda"
    load = partial(_load, samples, is_pinned=is_cuda)
    if loaders is None and not is_cuda:
        for phased in _read_when_asked(load, phase_at, first_step):
            yield phased
            first_step += 1
    cores = max(1, (os.cpu_count() or 1) // processes_on_this_machine()) if is_cuda else 1
    loaders = loaders or min(_MOST_LOADERS, cores)
    pool = ThreadPoolExecutor(loaders, thread_name_prefix="samples")
    try:
        ahead = 2 * loaders
        pending = deque(pool.submit(load, step, phase_at(step)) for step in range(first_step, first_step + ahead))
        for step in count(first_step + ahead):
            phased = pending.popleft().result()
            pending.append(pool.submit(load, step, phase_at(step)))
            yield phased
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _load(samples: Sequence[Samples], step: int, phase: int, *, is_pinned: bool) -> Phased:
    """The batch of a step, or this process's share of it."""
    size = samples[phase].config.batch_size
    share = own_share(size)
    chosen = [samples[phase][index] for index in range(step * size + share.first, step * size + share.stop)]
    batch = {key: torch.stack([sample[key] for sample in chosen]) for key in chosen[0]}
    return Phased(phase, {key: tensor.pin_memory() for key, tensor in batch.items()} if is_pinned else batch)


def _read_when_asked(
    load: Callable[[int, int], Phased], phase_at: Callable[[int], int], first_step: int
) -> Iterator[Phased]:
    """Batches that are read one by one, until reading takes too large a share of the time."""
    begin, reading_s = time.perf_counter(), 0.0
    for step in count(first_step):
        start = time.perf_counter()
        is_slow = reading_s > _READING_SHARE * (start - begin)
        if step - first_step >= _FEWEST_READ and of_first_rank(float(is_slow)):
            return
        phased = load(step, phase_at(step))
        reading_s += time.perf_counter() - start
        yield phased
