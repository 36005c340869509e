"""Masks of everything that arrives in a folder, each study once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from medseg.cohort import CASE_ERRORS
from medseg.errors import ConfigError, ScanError
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs import FoundInputs, InputChoice, PassedOver, RefusedInput
from medseg.inference.segmentation import predict_cases
from medseg.records import Failure, Prediction
from medseg.runs.segmentation.predict import LoadedRuns, PredictSettings, load_runs
from medseg.runs.segmentation.watch.arrivals import Arrival, list_arrivals
from medseg.runs.segmentation.watch.found_cases import ArrivedCases, Finder, failure_of
from medseg.runs.segmentation.watch.retries import Retries
from medseg.runs.segmentation.watch.state import FOLDER_NAME, load_state, save_state, with_failures, without_arrivals

_LEAST_REST = 4  # times that a look took; so a look at many files takes a fifth of a core at most


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Choices of a watcher.

    Attributes:
        predict: Choices of the masks, their folder among them; of those of inputs, only the series are used.
        settle_s: Time in which nothing of an arrival may change before it is taken.
        every_s: Time between two looks at the inbox; longer where a look takes long.
        marker: Ending of the empty file by which a sender says that all has arrived, such as `.done`; "" to wait until
            nothing changes.
        is_lasting: Whether to go on until it is stopped; if not, it ends when everything that is there is done.
    """

    predict: PredictSettings
    settle_s: float = 10.0
    every_s: float = 5.0
    marker: str = ""
    is_lasting: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What came of the arrivals that were taken together.

    Attributes:
        predictions: One per mask, those that were kept among them.
        failures: Cases without a mask, those of earlier arrivals among them.
        waiting: Arrivals that are not complete, with the reason.
    """

    predictions: tuple[Prediction, ...] = ()
    failures: tuple[Failure, ...] = ()
    waiting: tuple[tuple[str, str], ...] = ()


LOOK = "watch"
"""Stage of a failure of no case, such as of a full disk or an inbox that is away."""


class _StoppedError(Exception):
    """The watcher was stopped between two cases."""


def watch_folder(
    runs: Sequence[Path | str],
    inbox: Path,
    settings: WatchSettings,
    *,
    on_batch: Callable[[Batch], None] = lambda batch: None,
    stop: Event | None = None,
) -> Batch:
    """Draw a mask of every study that arrives in a folder, once; one that changes is taken again.

    The folder of the masks is one of `predict_run`, which lists what failed and why.

    Args:
        runs: As for `predict_run`.
        inbox: Folder in which scans arrive: files, and folders of files such as DICOM studies.
        settings: Choices.
        on_batch: Called after the arrivals that were taken together.
        stop: Ends the work after the case in work once it is set.

    Returns:
        What there is in the end: all failures that are not mended, and what waits.

    Raises:
        PipelineError: If a model or the inbox cannot be used, or the output folder holds something else.
        DeliveryError: If another watcher writes to the output folder.
    """
    inbox, out = Path(os.path.abspath(inbox)), settings.predict.out  # noqa: PTH100  # links stay as they are
    if not inbox.is_dir():
        raise ScanError(f"inbox {inbox} must be a folder, found none", remedy="create it, or check the path")
    if inbox.resolve() == out.resolve() or out.resolve() in inbox.resolve().parents:
        raise ConfigError(f"the masks must not lie around the inbox {inbox}", remedy="choose another folder for them")
    with _held(out):
        watcher = _Watcher(inbox, load_runs(runs, settings.predict), settings, stop or Event())
        watcher.draw(ArrivedCases(watcher.state))  # the folder of the masks begins
        (out / FOLDER_NAME).mkdir(exist_ok=True)
        with _held(out, is_held=watcher.was_begun):
            return watcher.run(on_batch)


@contextmanager
def _held(out: Path, *, is_held: bool = False) -> Iterator[None]:
    """Hold a folder of masks against other watchers, if one has begun it and it is not held yet."""
    folder = out / FOLDER_NAME
    if is_held or not folder.is_dir():
        yield
        return
    with locked_folder(folder, by="watcher"):
        yield


class _Watcher:
    """The inbox as it was seen last, and what is known of it."""

    def __init__(self, inbox: Path, loaded: LoadedRuns, settings: WatchSettings, stop: Event) -> None:
        self.inbox, self.loaded, self.settings, self.stop = inbox, loaded, settings, stop
        self.out = settings.predict.out
        self.was_begun = (self.out / FOLDER_NAME).is_dir()
        self.state = load_state(self.out)
        choice = InputChoice(series=settings.predict.series, out=self.out)
        self._finder = Finder(inbox, loaded.model.channels, choice)
        self._retries = Retries()
        self._seen: dict[str, tuple[str, float]] = {}
        self._waiting: tuple[tuple[str, str], ...] = ()

    def run(self, on_batch: Callable[[Batch], None]) -> Batch:
        """Take what is complete, once or until the watcher is stopped."""
        if not self.settings.is_lasting:
            self._once(on_batch)
        trouble = ""
        while self.settings.is_lasting and not self.stop.is_set():
            start, took_s = time.monotonic(), 0.0
            try:
                complete = self._look()
                took_s = time.monotonic() - start
                self._take(complete, on_batch)
                trouble = ""
            except CASE_ERRORS as error:  # such as a full disk, or an inbox that is away for a while
                failure = Failure.of(self.inbox.name, LOOK, error)
                if failure.reason != trouble:
                    on_batch(Batch(failures=(failure,), waiting=self._waiting))
                trouble = failure.reason
            self.stop.wait(max(self.settings.every_s, _LEAST_REST * took_s))
        return Batch(failures=self._failures(), waiting=self._waiting)

    def _once(self, on_batch: Callable[[Batch], None]) -> None:
        complete = self._look()
        if self._waiting and not self.settings.marker:
            self.stop.wait(self.settings.settle_s)
            complete = self._look()
        self._take(complete, on_batch)

    def _take(self, complete: Sequence[Arrival], on_batch: Callable[[Batch], None]) -> None:
        known = {*self.state.arrivals, *(one.arrival for one in self.state.failed.values())}
        gone = known - set(self._seen)
        if gone:
            self.state = without_arrivals(self.state, gone)
        found = self._finder.find(complete, self.state, stop=self.stop)
        if (complete or gone) and not self.stop.is_set():
            with suppress(_StoppedError):
                on_batch(self.draw(found))

    def draw(self, found: ArrivedCases) -> Batch:
        """Draw the masks of cases; until all are done, the arrivals count as not taken, and the ids are known."""
        state, arrivals = found.state, self.state.arrivals
        if found.cases:
            save_state(state.model_copy(update={"arrivals": arrivals}), self.out)
        predictions, failures = predict_cases(
            self.loaded.model,
            self._inputs(found),
            self.out,
            reviewer=self.loaded.reviewer,
            choices=self.loaded.choices,
            on_done=self._check_stop,
            has_page=True,
        )
        state = with_failures(state, found.cases, failures)
        taken = {name for name, stamp in state.arrivals.items() if arrivals.get(name) != stamp}
        later = self._retries.after(failures, state.cases, taken=taken)
        kept = {name: stamp for name, stamp in state.arrivals.items() if name not in later}
        state = state.model_copy(update={"arrivals": kept})
        if found.cases or arrivals != kept:
            save_state(state, self.out)
        self.state = state  # once it is saved: what could not be saved is taken again
        return Batch(tuple(predictions), tuple(failures), self._waiting)

    def _look(self) -> list[Arrival]:
        """The arrivals that are new or changed, and complete."""
        now, settings = time.monotonic(), self.settings
        complete: list[Arrival] = []
        waiting: list[tuple[str, str]] = []
        seen: dict[str, tuple[str, float]] = {}
        for one in list_arrivals(self.inbox, without=self.out, marker=settings.marker):
            stamp, since = self._seen.get(one.name, ("", now))
            seen[one.name] = (one.stamp, since if stamp == one.stamp else now)
            if one.stamp == self.state.arrivals.get(one.name):
                continue
            if one.unfinished:
                waiting.append((one.name, one.unfinished))
            elif not self._retries.is_due(one):
                waiting.append((one.name, "is tried again later"))
            elif settings.marker or now - seen[one.name][1] >= settings.settle_s:
                complete.append(one)
            else:
                waiting.append((one.name, "is new or changes"))
        self._seen, self._waiting = seen, tuple(waiting)
        return complete

    def _inputs(self, found: ArrivedCases) -> FoundInputs:
        state = found.state
        refused = tuple(RefusedInput(one.case_id, failure_of(one)) for one in state.failed.values())
        passed = tuple(PassedOver(path, reason) for listed in state.passed_over.values() for path, reason in listed)
        return FoundInputs(tuple(found.cases.values()), passed, refused)

    def _failures(self) -> tuple[Failure, ...]:
        return tuple(Failure.of(one.case_id, "predict", failure_of(one)) for one in self.state.failed.values())

    def _check_stop(self, case_id: str) -> None:
        if self.stop.is_set():
            raise _StoppedError
