"""Batches of samples, read ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Protocol

import torch
from torch import Tensor

from medseg.training.config import OptimisationConfig

Patch = dict[str, Tensor]


class Samples(Protocol):
    """An endless, reproducible sequence of samples."""

    @property
    def config(self) -> OptimisationConfig:
        """Its batch size."""

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`."""


def batches(dataset: Samples, *, first_step: int, loaders: int = 1, pin_memory: bool = False) -> Iterator[Patch]:
    """Endless batches from a step on, in order, read ahead by threads; a reader's error is raised here.

    Args:
        dataset: Where patches come from.
        first_step: Number of the first batch.
        loaders: Threads.
        pin_memory: Whether batches go to a GPU.
    """
    size = dataset.config.batch_size

    def load(step: int) -> Patch:
        patches = [dataset[index] for index in range(step * size, (step + 1) * size)]
        batch = {key: torch.stack([patch[key] for patch in patches]) for key in patches[0]}
        return {key: tensor.pin_memory() for key, tensor in batch.items()} if pin_memory else batch

    pool = ThreadPoolExecutor(loaders, thread_name_prefix="patches")
    try:
        ahead = 2 * loaders
        pending = deque(pool.submit(load, first_step + n) for n in range(ahead))
        for step in count(first_step + ahead):
            batch = pending.popleft().result()
            pending.append(pool.submit(load, step))
            yield batch
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
