"""A training that another process is asked to do, and what it tells of its work."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from medseg.runs.job import Job
from medseg.runs.progress import OnCase, OnStep
from medseg.runs.settings import TrainingSettings
from medseg.runs.train import train_job
from medseg.training.forecast import Forecast


class Share(NamedTuple):
    """What one of several trainings at once may use of the machine.

    Attributes:
        threads: Threads that compute.
        gpu: Number of the GPU, where the device is one.
    """

    threads: int
    gpu: int


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """A training to do in a process of its own.

    Attributes:
        name: Name of the training, for messages.
        job: Kind of training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        share: What it may use of the machine.
        started: Reading of `time.monotonic()` at which a wall-clock budget begins, which all processes share.
    """

    name: str
    job: Job[Any, Any]
    dataset: Path
    settings: TrainingSettings
    share: Share
    started: float


def carry_out(link: Connection, order: TrainingOrder) -> None:
    """Train, and send how far it is and what comes of it; the whole work of a process.

    It is stopped by SIGINT and SIGTERM as by Ctrl-C, which does not reach it from the terminal itself, and once the
    process is gone that began it.

    Args:
        link: End of a pipe for `Told` messages; closed at the end.
        order: The training.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the process that began this one, and asks this one to save and to end, once
    told = Told(link)
    logging.getLogger().addHandler(_ToldLog(told))
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        hold_stops(is_held=False)
        _take_share(order)
        result = train_job(order.job, order.dataset, order.settings, started=order.started, progress=told)
        told.tell("done", result)
    except KeyboardInterrupt:
        return
    except Exception as error:  # all of them reach the process that began this one
        told.tell("failed", _sendable(error))


def hold_stops(*, is_held: bool) -> None:
    """Let SIGINT wait, or take it again; a process that is started meanwhile begins as its parent is.

    It is held while a new process imports what it needs, which must not end in a traceback.
    """
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_BLOCK if is_held else signal.SIG_UNBLOCK, {signal.SIGINT})


class Told:
    """A progress that is told to another process; see `Progress`.

    Args:
        link: End of a pipe.
    """

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._stages = 0

    def tell(self, *message: Any) -> None:
        """Send a message, from any thread."""
        with self._lock:
            self._link.send(message)

    @contextmanager
    def over_cases(self, total: int, stage: str) -> Iterator[OnCase]:
        """Tell every case."""
        with self._stage("cases", total, stage) as number:
            yield lambda case_id: self.tell("step", number, case_id)

    @contextmanager
    def over_budget(self, stage: str) -> Iterator[OnStep]:
        """Tell every step."""
        with self._stage("budget", stage) as number:
            yield lambda progress, loss: self.tell("step", number, progress, loss)

    def validated(self, score: float, forecast: Forecast | None) -> None:
        """Tell the score and the forecast."""
        self.tell("validated", score, forecast)

    @contextmanager
    def _stage(self, kind: str, *what: Any) -> Iterator[int]:
        self._stages += 1
        number = self._stages
        self.tell(kind, number, *what)
        try:
            yield number
        finally:
            self.tell("close", number)


class _ToldLog(logging.Handler):
    """Sends warnings to the other process."""

    def __init__(self, told: Told) -> None:
        super().__init__(logging.WARNING)
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record as text."""
        self._told.tell("log", record.levelno, record.name, record.getMessage())


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGINT)


def _take_share(order: TrainingOrder) -> None:
    import torch

    torch.set_num_threads(order.share.threads)
    if order.settings.device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(order.share.gpu)


def _sendable(error: Exception) -> Exception:
    """The error with its traceback as a note; in words where it cannot be sent."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  # made here
    except Exception:  # whatever its own code raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
