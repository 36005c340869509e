"""How much of its budget a search has used, all its workers together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medseg.atomic import write_json
from medseg.runs.progress import OnCase, OnStep, Progress
from medseg.runs.search.locks import locked

_TICK_S = 5.0
_GAP_S = 30.0  # without a tick from any worker, after which nobody is taken to be at work


class SearchClock:
    """Counts the seconds in which at least one worker is at work; the time between two starts does not count.

    Args:
        folder: Folder of the search, in which every worker continues the same count.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / "clock.json", folder / "locks" / "clock.lock"
        self._last = -_TICK_S

    def used_s(self) -> float:
        """Seconds used so far, by this moment."""
        now = time.time()
        with locked(self._lock):
            used, seen = now, now
            if self._path.is_file():
                content = json.loads(self._path.read_text(encoding="utf-8"))
                used, seen = float(content["used_s"]), float(content["seen"])
            else:
                used = 0.0
            used += min(max(0.0, now - seen), _GAP_S)
            write_json(self._path, {"used_s": used, "seen": max(seen, now)})
        self._last = time.monotonic()
        return used

    def tick(self) -> None:
        """Say that this worker is at work; cheap enough for every step."""
        if time.monotonic() - self._last >= _TICK_S:
            self.used_s()


class Ticking:
    """Follows a training, and tells the search's clock that it goes on.

    Args:
        progress: What follows the search.
        clock: Clock of the search.
    """

    def __init__(self, progress: Progress, clock: SearchClock) -> None:
        self.progress = progress
        self.clock = clock

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[OnCase]:
        """Open a stage over cases."""
        with self.progress.over_cases(total, stage) as on_case:

            def on_done(case_id: str) -> None:
                self.clock.tick()
                on_case(case_id)

            yield on_done

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[OnStep]:
        """Open a training."""
        with self.progress.over_budget(stage) as on_step:

            def on_done(progress: float, loss: float) -> None:
                self.clock.tick()
                on_step(progress, loss)

            yield on_done

    def validated(self, score: float) -> None:
        """Pass the score on."""
        self.progress.validated(score)
