"""Errors and warnings about a case under a pseudonym, without the names of its files, which may be patients' names."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseg.errors import PipelineError, ScanError

_READERS = "medseg.scans"
_HIDDEN = "…"


def without_names(text: str, files: Sequence[Path]) -> str:
    """A text in which `…` stands for each path, folder and name of some files, where it is a word of its own."""
    names = {name for path in files for name in (str(path), str(path.absolute()), str(path.parent), path.name)}
    longest_first = sorted(map(re.escape, names - {".", "/"}), key=len, reverse=True)
    return re.sub(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", _HIDDEN, text) if longest_first else text


def private_error(error: Exception, files: Sequence[Path], *, case_id: str) -> PipelineError:
    """An error of a case without the names of its files."""
    if isinstance(error, OSError):
        return ScanError(f"its files must be readable, got: {error.strerror}", case_id=case_id)
    if not isinstance(error, PipelineError):
        return ScanError(without_names(str(error), files), case_id=case_id)
    fact, remedy = without_names(error.fact, files), without_names(error.remedy, files)
    return type(error)(fact, remedy=remedy, case_id=case_id)


@contextmanager
def private_warnings(files: Sequence[Path]) -> Iterator[None]:
    """Take the names of some files out of what this thread's readers log in the block."""
    names = _Names(files)
    known = [*logging.root.manager.loggerDict]
    loggers = [logging.getLogger(name) for name in known if name == _READERS or name.startswith(f"{_READERS}.")]
    for logger in loggers:
        logger.addFilter(names)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(names)


class _Names(logging.Filter):
    """Takes the names of some files out of the records of the thread that made it."""

    def __init__(self, files: Sequence[Path]) -> None:
        super().__init__()
        self._files, self._thread = files, threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite a record; none is held back."""
        if record.thread == self._thread:
            record.msg, record.args = without_names(record.getMessage(), self._files), ()
        return True
