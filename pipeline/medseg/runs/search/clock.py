"""How much of its budget a search has used, all its workers together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from medseg.atomic import write_json
from medseg.errors import DeliveryError
from medseg.runs.search.locks import locked

_BEAT_S = 5.0
_GAP_S = 30.0  # without a beat from any worker, after which nobody is taken to be at work


class SearchClock:
    """Counts the seconds in which at least one worker is at work; the time between two starts does not count.

    Args:
        folder: Folder of the search, in which every worker continues the same count.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._lock = folder / "clock.json", folder / "locks" / "clock.lock"

    def used_s(self) -> float:
        """Seconds used so far, by this moment."""
        with locked(self._lock):
            now = time.time()
            used, seen = 0.0, now
            if self._path.is_file():
                content = json.loads(self._path.read_text(encoding="utf-8"))
                used, seen = float(content["used_s"]), float(content["seen"])
            used += min(max(0.0, now - seen), _GAP_S)
            write_json(self._path, {"used_s": used, "seen": max(seen, now)})
        return used

    @contextmanager
    def running(self) -> Iterator[None]:
        """A context in which this worker is at work, whatever it does."""
        stop = Event()
        thread = Thread(target=self._beat, args=(stop,), name="search clock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _beat(self, stop: Event) -> None:
        while not stop.wait(_BEAT_S):
            with suppress(DeliveryError, OSError):  # the work itself meets a full disk, too
                self.used_s()
