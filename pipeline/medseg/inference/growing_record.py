"""`predictions.json` and its page while they grow: an interrupted prediction leaves a record of what it delivered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from medseg.errors import PipelineError
from medseg.inference.mask_page import PAGE_NAME, save_mask_page
from medseg.inference.record import RECORD_NAME, PredictionRecord, save_record

_SHARE = 0.02


class GrowingRecord:
    """Saves a record at the begin of a block, as it grows, and at the end of the block, whatever ends it.

    Saving takes at most a fiftieth of the time; after a process was killed outright, the sidecars tell what the record
    lacks. Any thread may let it grow.

    Args:
        folder: Folder of the masks.
        content: Function that gives the record as it is now.
        has_page: Whether `index.html` is written beside the record.

    Attributes:
        error: Reason why the record could not be written the last time; None if it was.
    """

    def __init__(self, folder: Path, content: Callable[[], PredictionRecord], *, has_page: bool = False) -> None:
        self.error: PipelineError | None = None
        self._folder, self._content, self._has_page = folder, content, has_page
        self._next = 0.0
        self._lock = threading.Lock()

    def grow(self) -> None:
        """Save the record, unless that was done just now."""
        with self._lock:
            if time.monotonic() >= self._next:
                self._save()

    def __enter__(self) -> Self:
        self._save()
        self._next = 0.0  # the first case is listed at once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._save()
        names = {path.name for path in self._folder.iterdir()}
        if kind is not None and names <= {RECORD_NAME, PAGE_NAME}:  # interrupted before any case: it stays empty
            for name in names:
                (self._folder / name).unlink()

    def _save(self) -> None:
        start = time.monotonic()
        try:
            record = self._content()
            save_record(record, self._folder)
            if self._has_page:
                save_mask_page(record, self._folder)
            self.error = None
        except PipelineError as error:
            self.error = error
        self._next = time.monotonic() + (time.monotonic() - start) / _SHARE
