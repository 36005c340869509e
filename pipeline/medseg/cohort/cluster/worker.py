"""What runs in a worker of a cluster."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Answer(NamedTuple, Generic[Result]):
    """Result of a worker.

    Attributes:
        result: Result of the work.
        warnings: What was logged in the worker since its last answer.
    """

    result: Result
    warnings: list[logging.LogRecord]


class Worker(Generic[Item, Result]):
    """Does the same work on one item after the other, in a process of its own.

    Args:
        work: The work, as it was pickled for this process; what it loads it keeps.
        folder: Folder to which relative paths lead.
    """

    def __init__(self, work: Callable[[Item], Result], folder: Path) -> None:
        os.chdir(folder)
        self._work = work
        self._log = _Log()
        logging.getLogger("medseg").addHandler(self._log)

    def ready(self) -> None:
        """Answer as soon as the process runs."""

    def run(self, item: Item) -> Answer[Result]:
        """Do the work on an item."""
        result = self._work(item)
        return Answer(result, self._log.take())


class _Log(logging.Handler):
    """Warnings of this process, kept to be logged by the one that the work is done for."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._records: list[logging.LogRecord] = []
        self._guard = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning, its text made, so that it can be pickled."""
        changes: dict[str, Any] = {"msg": record.getMessage(), "args": None, "exc_info": None, "exc_text": None}
        with self._guard:
            self._records.append(logging.makeLogRecord({**record.__dict__, **changes}))

    def take(self) -> list[logging.LogRecord]:
        """The warnings since the last call."""
        with self._guard:
            records, self._records = self._records, []
        return records


def log_again(records: list[logging.LogRecord]) -> None:
    """Log what a worker has logged, as if it had been logged here."""
    for record in records:
        logger = logging.getLogger(record.name)
        if logger.isEnabledFor(record.levelno):
            logger.handle(record)
