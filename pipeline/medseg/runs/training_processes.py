"""Several trainings at once, each in a process of its own that takes no other with it when it is killed."""

from __future__ import annotations

import logging
import os
import pickle
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from typing import Any, TypeVar

from medseg.errors import ConfigError, TrainingError
from medseg.runs.job import Job
from medseg.runs.progress import Progress
from medseg.runs.train import TrainResult
from medseg.runs.training_order import TrainingOrder, carry_out, hold_stops
from medseg.training.forecast import Forecast

Item = TypeVar("Item")
Result = TypeVar("Result")
_LOOK_S = 0.5
_ENDING_S = 30.0  # in which a training that is asked to end may save


def check_sendable(job: Job[Any, Any]) -> None:
    """Refuse a job that cannot be sent to another process.

    Raises:
        ConfigError: If one of its parts is not importable by name.
    """
    try:
        pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"parallel: parts of your own must be importable by name to train in several processes, got: {error}",
            remedy="define them in a module, not in a function or a notebook, or train one fold at a time",
        ) from error


class TrainingProcess:
    """A training that runs in a process.

    Args:
        order: The training.
        progress: Follows it.
    """

    def __init__(self, order: TrainingOrder, progress: Progress) -> None:
        self._name, self._progress = order.name, progress
        context = get_context("spawn")
        self.link, there = context.Pipe(duplex=False)
        self._process = context.Process(target=carry_out, args=(there, order), name=order.name)
        ensure_running()  # which takes stops again where it is started
        hold_stops(is_held=True)
        try:
            self._process.start()
        finally:
            hold_stops(is_held=False)
            there.close()
        self._stages = ExitStack()
        self._steps: dict[int, tuple[ExitStack, Callable[..., None]]] = {}
        self._validated: tuple[float, Forecast | None] | None = None
        self._outcome: TrainResult | Exception | None = None

    def listen(self) -> bool:
        """Take a message that has come; whether the training has ended by it."""
        try:
            kind, *content = self.link.recv()
        except EOFError:
            self._process.join()
            self._outcome = self._killed()
            return True
        if kind in ("done", "failed"):
            self._outcome = content[0]
            return True
        self._take(kind, content)
        return False

    def result(self) -> TrainResult:
        """What came of it.

        Raises:
            TrainingError: If the process was killed.
            Exception: The error of the training.
        """
        if isinstance(self._outcome, TrainResult):
            return self._outcome
        raise self._outcome or self._killed()

    def ask_to_end(self) -> None:
        """Stop a training as Ctrl-C does: it saves what it has."""
        if self._process.is_alive() and self._process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)

    def close(self) -> None:
        """Wait for the end of the process, which is killed if it does not come."""
        self._process.join(_ENDING_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._stages.close()
        self.link.close()

    def _killed(self) -> TrainingError:
        code = self._process.exitcode
        end = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
        return TrainingError(
            f"{self._name}: its process must end by itself, got {end}",
            remedy="resume the training; with fewer folds at once, if memory was short",
        )

    def _take(self, kind: str, content: list[Any]) -> None:
        if kind == "log":
            level, name, text = content
            logging.getLogger(name).log(level, "%s: %s", self._name, text)
        elif kind == "validated":
            self._validated = (content[0], content[1])
        elif kind == "step":
            number, *values = content
            self._steps[number][1](*values)
            self._tell_score()
        elif kind == "close":
            self._tell_score()
            self._steps.pop(content[0])[0].close()
        else:
            self._open(kind, *content)

    def _tell_score(self) -> None:
        """Tell a score after a step of the same training, so that it is known whose it is."""
        if self._validated is not None:
            self._progress.validated(*self._validated)
        self._validated = None

    def _open(self, kind: str, number: int, *what: Any) -> None:
        over: AbstractContextManager[Callable[..., None]] = (
            self._progress.over_cases(*what) if kind == "cases" else self._progress.over_budget(*what)
        )
        stage = self._stages.enter_context(ExitStack())
        self._steps[number] = (stage, stage.enter_context(over))


class ProcessSlots:
    """An executor whose items are trainings in processes, some at a time; the work on an item takes what came of it.

    All of it happens in the calling thread. If that is stopped, all trainings are asked to save and to end.

    Args:
        slots: Number of trainings at once.
        begin: Starts the training of an item in a slot.
        may_begin: Whether another training may be started while some run.
    """

    def __init__(
        self,
        slots: int,
        begin: Callable[[Any, int], TrainingProcess],
        may_begin: Callable[[], bool] = lambda: True,
    ) -> None:
        self._slots, self._begin, self._may_begin = slots, begin, may_begin

    def run(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Generator[tuple[int, Result], None, None]:
        """Train every item, and do the work on each whose training has ended; see `Executor`."""
        waiting = list(enumerate(items))
        running: dict[Connection, tuple[int, int, TrainingProcess]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self._slots and (not running or self._may_begin()):
                    place, item = waiting.pop(0)
                    slot = min(set(range(self._slots)) - {used for _, used, _ in running.values()})
                    process = self._begin(item, slot)
                    running[process.link] = (place, slot, process)
                for link in wait(list(running), _LOOK_S):
                    place, _, process = running[link]  # type: ignore[index]  # all that are waited for are connections
                    if process.listen():
                        del running[link]  # type: ignore[arg-type]
                        process.close()
                        yield place, work(items[place])
        finally:
            for _, _, process in running.values():
                process.ask_to_end()
            for _, _, process in running.values():
                process.close()
