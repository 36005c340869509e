"""Seconds since an event."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from its making, or from its last restart."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin at nothing again."""
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Seconds since then."""
        return time.monotonic() - self._start
