"""Warnings of the readers, kept out of the log, since they name files, and collected as notes of their case."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READERS = "medseg.scans"


class ScanNotes(logging.Handler):
    """Warnings of the readers, collected thread by thread: a source's file names may be patients' names."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._warnings: dict[int, list[str]] = defaultdict(list)

    def __reduce__(self) -> tuple[type[ScanNotes], tuple[()]]:
        """In another process nothing is collected yet."""
        return ScanNotes, ()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self._warnings[threading.get_ident()].append(record.getMessage())

    def forget(self) -> None:
        """Drop the warnings of this thread so far, which are about another file."""
        self._warnings.pop(threading.get_ident(), None)

    def take(self, path: Path, case_id: str) -> tuple[str, ...]:
        """The warnings of this thread since the last call, without the case id and the file name."""
        warnings = self._warnings.pop(threading.get_ident(), [])
        return tuple(line.removeprefix(f"case {case_id}: ").replace(path.name, "the file") for line in warnings)


@contextmanager
def catching_notes() -> Iterator[ScanNotes]:
    """Keep the readers' warnings out of the log, and collect them."""
    notes = ScanNotes()
    logger, pillow = logging.getLogger(_READERS), logging.getLogger("PIL")
    propagates, logger.propagate = logger.propagate, False
    level = pillow.level
    pillow.setLevel(logging.CRITICAL)  # it logs texts that are stored in pictures
    logger.addHandler(notes)
    try:
        yield notes
    finally:
        logger.removeHandler(notes)
        logger.propagate = propagates
        pillow.setLevel(level)
