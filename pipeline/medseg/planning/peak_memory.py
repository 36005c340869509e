"""The most memory that a piece of work takes."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # it ships no types
import torch

_GAP_S = 0.004


class PeakMemory:
    """Measures what the work inside takes at most: of the device on CUDA, else of this process beside what it held.

    Attributes:
        bytes: Most memory, known after the work.

    Args:
        device: Device that works.
    """

    def __init__(self, device: torch.device) -> None:
        self.bytes = 0
        self._device = device
        self._end = threading.Event()
        self._process = psutil.Process()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._before = self._now()
        if self._device.type != "cuda":
            self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self._device) - self._before
        else:
            self._watcher.join()

    def _now(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device)
        return int(self._process.memory_info().rss)

    def _watch(self) -> None:
        while not self._end.wait(_GAP_S):
            self.bytes = max(self.bytes, self._now() - self._before)
