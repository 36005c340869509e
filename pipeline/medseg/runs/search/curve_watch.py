"""A trial's curve, reported as it is trained, and the end of a trial that falls behind."""

from __future__ import annotations

import json
from pathlib import Path

from ignite.engine import Engine, Events

from medseg.atomic import write_json
from medseg.runs.search.study import Study
from medseg.training.milestones import points_passed
from medseg.training.state import TrainingState


class CurveWatch:
    """Reports each validation of a trial on the way, and ends its training where the study says so.

    A training that is ended so is validated, saved and logged as any other; why is written to `pruned.json` first, so
    that a worker that takes it up after a kill ends it, too.

    Args:
        study: Trials of the search.
        number: Number of the trial.
        folder: Folder of its run.
        validations: Number of validations of a training, that at the end included.
    """

    def __init__(self, study: Study, number: int, folder: Path, *, validations: int) -> None:
        self._study = study
        self._number = number
        self._folder = folder
        self._validations = validations

    def __call__(self, trainer: Engine, evaluator: Engine, state: TrainingState, /) -> None:
        """Attach to the validations; a training that was to end before a kill ends at once."""
        if pruned_because(self._folder) is not None:
            trainer.add_event_handler(Events.STARTED, trainer.terminate)
        evaluator.add_event_handler(Events.COMPLETED, self._on_validation, trainer, state)

    def _on_validation(self, trainer: Engine, state: TrainingState) -> None:
        if state.progress >= 1 or trainer.should_terminate:
            return
        step = points_passed(state.progress, self._validations)
        is_known = state.score == state.score
        reason = self._study.report(self._number, state.score, step) if is_known else None
        if reason is not None:
            write_json(_file(self._folder), {"reason": reason})
            trainer.terminate()


def pruned_because(folder: Path) -> str | None:
    """Why the training in a folder was to end early; None if it was not."""
    path = _file(folder)
    return str(json.loads(path.read_text(encoding="utf-8"))["reason"]) if path.is_file() else None


def _file(folder: Path) -> Path:
    return folder / "pruned.json"
