"""Batches come in their order, however they are read."""

from __future__ import annotations

import threading
import time
from itertools import islice

import pytest
import torch
from medseg.training.batches import batches, phased_batches
from medseg.training.config import OptimisationConfig
from torch import Tensor


class Numbers:
    """Sample n is the number n; who reads it is noted.

    Args:
        batch_size: Numbers in a batch.
        wait_s: Seconds that reading one takes.
    """

    def __init__(self, batch_size: int = 2, wait_s: float = 0.0) -> None:
        self.config = OptimisationConfig(batch_size=batch_size)
        self.wait_s = wait_s
        self.readers: list[bool] = []

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        self.readers.append(threading.current_thread() is threading.main_thread())
        time.sleep(self.wait_s)
        return {"number": torch.tensor(index)}


@pytest.mark.parametrize("loaders", [None, 1, 3])
@pytest.mark.parametrize("wait_s", [0.0, 0.002])
def test_batches_come_in_order_from_any_step(loaders: int | None, wait_s: float) -> None:
    stream = batches(Numbers(wait_s=wait_s), first_step=3, loaders=loaders)
    assert [batch["number"].tolist() for batch in islice(stream, 30)] == [[2 * n, 2 * n + 1] for n in range(3, 33)]


def test_fast_reading_needs_no_thread() -> None:
    numbers = Numbers()
    for _ in islice(batches(numbers, first_step=0), 40):
        time.sleep(0.002)
    assert all(numbers.readers)


def test_slow_reading_goes_on_in_a_thread() -> None:
    numbers = Numbers(wait_s=0.003)
    seen = []
    for batch in islice(batches(numbers, first_step=0), 40):
        seen += batch["number"].tolist()
        time.sleep(0.001)
    assert seen == list(range(80))
    assert numbers.readers[:32] == [True] * 32
    assert not any(numbers.readers[34:])


def test_phases_have_samples_of_their_own() -> None:
    stream = phased_batches([Numbers(3), Numbers(1)], lambda step: int(step >= 4), first_step=2)
    assert [(phase, batch["number"].tolist()) for phase, batch in islice(stream, 4)] == [
        (0, [6, 7, 8]), (0, [9, 10, 11]), (1, [4]), (1, [5]),
    ]  # fmt: skip
