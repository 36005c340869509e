"""Masks of everything that arrives in a folder, each study once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from medseg.errors import ConfigError, PipelineError, ScanError
from medseg.inference.folder_lock import locked_folder
from medseg.inference.inputs import FoundInputs, PassedOver, RefusedInput
from medseg.inference.segmentation import predict_cases
from medseg.records import Failure, Prediction
from medseg.runs.segmentation.predict import LoadedRuns, PredictSettings, load_runs
from medseg.runs.segmentation.watch.arrivals import Arrival, list_arrivals
from medseg.runs.segmentation.watch.found_cases import ArrivedCases, Finder, failure_of
from medseg.runs.segmentation.watch.state import FOLDER_NAME, load_state, save_state, with_failures, without_arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """Choices of a watcher.

    Attributes:
        predict: Choices of the masks, their folder among them; those of inputs are not used.
        settle_s: Time in which nothing of an arrival may change before it is taken.
        every_s: Time between two looks at the inbox.
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
    loaded = load_runs(runs, settings.predict)
    watcher = _Watcher(inbox, loaded, settings, stop or Event())
    watcher.draw(ArrivedCases(watcher.state))  # the folder of the masks begins
    (out / FOLDER_NAME).mkdir(exist_ok=True)
    with locked_folder(out / FOLDER_NAME):
        return watcher.run(on_batch)


class _Watcher:
    """The inbox as it was seen last, and what is known of it."""

    def __init__(self, inbox: Path, loaded: LoadedRuns, settings: WatchSettings, stop: Event) -> None:
        self.inbox, self.loaded, self.settings, self.stop = inbox, loaded, settings, stop
        self.out = settings.predict.out
        self.state = load_state(self.out)
        self._finder = Finder(inbox, loaded.model.channels, self.out)
        self._seen: dict[str, tuple[str, float]] = {}
        self._waiting: tuple[tuple[str, str], ...] = ()

    def run(self, on_batch: Callable[[Batch], None]) -> Batch:
        """Take what is complete, once or until the watcher is stopped."""
        if not self.settings.is_lasting:
            self._once(on_batch)
        while self.settings.is_lasting and not self.stop.is_set():
            try:
                self._take(self._look(), on_batch)
            except (PipelineError, OSError) as error:  # such as a full disk, or an inbox that is away for a while
                on_batch(Batch(failures=(Failure.of(self.inbox.name, "watch", error),), waiting=self._waiting))
            self.stop.wait(self.settings.every_s)
        return Batch(failures=self._failures(), waiting=self._waiting)

    def _once(self, on_batch: Callable[[Batch], None]) -> None:
        complete = self._look()
        if self._waiting and not self.settings.marker:
            self.stop.wait(self.settings.settle_s)
            complete = self._look()
        self._take(complete, on_batch)

    def _take(self, complete: Sequence[Arrival], on_batch: Callable[[Batch], None]) -> None:
        gone = set(self.state.arrivals) - set(self._seen)
        if gone:
            self.state = without_arrivals(self.state, gone)
        if (complete or gone) and not self.stop.is_set():
            with suppress(_StoppedError):
                on_batch(self.draw(self._finder.find(complete, self.state)))

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
        self.state = with_failures(state, found.cases, failures)
        if found.cases or arrivals != state.arrivals:
            save_state(self.state, self.out)
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
                verb = "waits for" if settings.marker else "holds"
                waiting.append((one.name, f"{verb} {one.unfinished}"))
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
