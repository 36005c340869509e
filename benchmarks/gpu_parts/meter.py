"""Time and peak memory of a piece of work, repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Self

import psutil
import torch

GIB = 2**30


class Measured(NamedTuple):
    """One entry per repeat."""

    seconds: list[float]
    peak_gib: list[float]


class PeakMemory:
    """Peak memory while the block runs.

    On a CUDA device it is what PyTorch's allocator held for tensors; on the CPU it is how far the resident memory of
    the process rose, sampled every few milliseconds.

    Args:
        device: Device that does the work.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.gib = 0.0

    def __enter__(self) -> Self:
        """Begin to watch."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._process = psutil.Process()
            self._start = self._highest = self._process.memory_info().rss
            self._is_done = threading.Event()
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Keep the highest value."""
        if self.device.type == "cuda":
            self.gib = torch.cuda.max_memory_allocated(self.device) / GIB
        else:
            self._is_done.set()
            self._thread.join()
            self.gib = (self._highest - self._start) / GIB

    def _watch(self) -> None:
        while not self._is_done.wait(0.005):
            self._highest = max(self._highest, self._process.memory_info().rss)


def memory_name(device: torch.device) -> str:
    """What `PeakMemory` measures on a device."""
    return "peak GPU memory" if device.type == "cuda" else "rise of resident memory"


def synchronise(device: torch.device) -> None:
    """Wait for everything that the device was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(work: Callable[[], object], device: torch.device, *, repeats: int, warm_up: int = 1) -> Measured:
    """Run some work a few times, after runs that do not count."""
    for _ in range(warm_up):
        work()
    measured = Measured([], [])
    for _ in range(repeats):
        synchronise(device)
        with PeakMemory(device) as memory:
            start = time.perf_counter()
            work()
            synchronise(device)
            measured.seconds.append(time.perf_counter() - start)
        measured.peak_gib.append(memory.gib)
    return measured
