"""Ignite engines that log under this package's name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ignite.engine import Engine

_log = logging.getLogger("medseg.training.engine")


def make_engine(step: Callable[[Engine, Any], Any]) -> Engine:
    """An engine round a process function; it logs to `medseg.training.engine`, and Ignite's own logger stays as it is.

    Errors are left out of its log, because every error is raised.
    """
    engine = Engine(step)
    engine.logger = _log
    return engine


def _is_no_error(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


_log.addFilter(_is_no_error)
