"""Seconds since an event."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from its construction, or from its last restart."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start at 0 again."""
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the start or the last restart."""
        return time.monotonic() - self._start
