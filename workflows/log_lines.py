"""Progress as lines, for logs of schedulers and pipes, where a bar would be noise."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import click

_FIRST_S = 10.0
_EVERY_S = 30.0
_MOST_LINES = 100  # of a whole training


class LogLines:
    """Says now and then how far a stage is, on standard error; short stages say nothing.

    Args:
        stage: Name of the stage.
        clock: Reading in seconds.
    """

    def __init__(self, stage: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.stage = stage
        self.count = 0
        self.score = math.nan
        self.expected = ""
        self._clock = clock
        self._start = clock()
        self._next = self._start + _FIRST_S

    def on_case(self, total: int) -> None:
        """Count a case of a known total."""
        self.count += 1
        if self._is_due(self.count / total):
            self._say(f"{self.count} of {total} cases", self.count / total)

    def on_files(self, count: int) -> None:
        """Count files of an unknown total."""
        self.count += count
        if self._is_due(0.0):
            passed = duration(self._clock() - self._start)
            click.echo(f"{self.stage}: {self.count} files, {passed} passed", err=True)

    def on_step(self, progress: float, loss: float) -> None:
        """Count a step.

        Args:
            progress: Share of the budget that is used.
            loss: Its loss; NaN where it would have to be waited for.
        """
        self.count += 1
        if self._is_due(progress):
            parts = [f"step {self.count}"]
            parts += [f"loss {loss:.3f}"] if loss == loss else []
            parts += [f"last validation {self.score:.4f}"] if self.score == self.score else []
            parts += [self.expected] if self.expected else []
            parts += [f"{self.count / (self._clock() - self._start):.2g} steps/s"]
            self._say(", ".join(parts), progress)

    def _is_due(self, progress: float) -> bool:
        now = self._clock()
        if now < self._next:
            return False
        whole = (now - self._start) / progress if progress > 0 else 0.0
        self._next = now + max(_EVERY_S, whole / _MOST_LINES)
        return True

    def _say(self, what: str, progress: float) -> None:
        passed = self._clock() - self._start
        left = f", about {duration(passed * (1 - progress) / progress)} left" if 0 < progress < 1 else ""
        click.echo(f"{self.stage}: {100 * progress:.0f} %, {what}, {duration(passed)} passed{left}", err=True)


def duration(seconds: float) -> str:
    """A time in two units at most, such as `45 s`, `12 min` or `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
