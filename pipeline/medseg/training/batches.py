"""Batches of samples, read ahead by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from medseg.training.config import OptimisationConfig

Batch = dict[str, Tensor]
_CPU = torch.device("cpu")
_MOST_LOADERS = 8


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
    """Endless batches from a step on, in order, read ahead by threads; a reader's error is raised here.

    Args:
        samples: Samples, taken in order of their number.
        first_step: Number of the first batch.
        device: Device that batches are for; those for a GPU lie in pinned memory.
        loaders: Reading threads; if not given, one, or for a GPU as many as cores, at most 8.
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
    if loaders is None:
        loaders = min(_MOST_LOADERS, os.cpu_count() or 1) if is_cuda else 1

    def load(step: int, phase: int) -> Phased:
        size = samples[phase].config.batch_size
        chosen = [samples[phase][index] for index in range(step * size, (step + 1) * size)]
        batch = {key: torch.stack([sample[key] for sample in chosen]) for key in chosen[0]}
        return Phased(phase, {key: tensor.pin_memory() for key, tensor in batch.items()} if is_cuda else batch)

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
