"""One training of a search, from its plan to its numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medseg.atomic import write_json
from medseg.cohort import CASE_ERRORS
from medseg.errors import DeliveryError, TrackingError
from medseg.planning import NetworkName, Plan, PresetName, load_plan, save_plan
from medseg.records import Failure, reason_of
from medseg.runs.machine import torch_device
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder
from medseg.runs.search.curve_watch import CurveWatch, pruned_because
from medseg.runs.search.desk import Work
from medseg.runs.search.measure import measure_rest
from medseg.runs.search.record import SearchFolder, SearchRecord, trial_name
from medseg.runs.search.scores import case_scores, mean_score
from medseg.runs.search.settings import SearchSettings
from medseg.runs.search.study import Study
from medseg.runs.search.trial_plan import trial_plan
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.train import TrainResult, train_job
from medseg.runs.training_cases import TrainingCases
from medseg.training import parse_duration_s
from medseg.training.segmentation import SegmentationParts

_SURFACING = (DeliveryError, TrackingError, OSError)  # of a disk or a store, which would end every trial alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Trains what a worker has claimed.

    Attributes:
        dataset: A `dataset.json` or the folder that holds one.
        cases: Cases of the fold.
        settings: Choices of the search.
        record: What the search was begun with.
        folder: Folder of the search.
        study: Trials of the search.
        parts: The user's own parts of the training.
        parent: MLflow run above those of the trials.
    """

    dataset: Path
    cases: TrainingCases
    settings: SearchSettings
    record: SearchRecord
    folder: SearchFolder
    study: Study
    parts: SegmentationParts
    parent: str | None

    def run(self, work: Work, progress: Progress) -> None:
        """Train, and take note of the end; a plan or training that is impossible is a failed trial with its reason.

        Raises:
            DeliveryError: If a file cannot be written; the trial is left for the next worker, as after any error that
                does not lie in its plan.
            TrackingError: If the store of the trials or of MLflow cannot be used.
        """
        started = time.monotonic()
        facts: dict[str, Any]
        try:
            result = self._train(work, progress)
            failures = self._measure(work, progress)
        except (KeyboardInterrupt, *_SURFACING):
            if not work.repeat:
                self.study.stopped(work.number)
            raise
        except CASE_ERRORS as error:
            self._end(work, "failed", score=float("nan"), reason=reason_of(error))
            return
        facts = {"seconds": round(result.seconds, 1), "steps": result.steps, "run_id": result.run_id}
        reason = pruned_because(self.folder.training(work.name))
        if reason is not None and not work.repeat:
            self._end(work, "pruned", score=float("nan"), reason=reason, **facts)
            return
        scores = case_scores(self.folder, work.name)
        facts |= {"whole_s": round(time.monotonic() - started, 1), "cases": len(scores)}
        facts |= {"unmeasured": [failure.reason for failure in failures]}
        score = mean_score(scores, list(scores))
        if score == score:
            self._end(work, "complete", score=score, **facts)
        else:
            self._end(work, "failed", score=score, reason="no validation case could be measured", **facts)

    def _end(self, work: Work, state: Any, *, score: float, reason: str = "", **facts: Any) -> None:
        """Take note, in the store or, of a repeat, beside its plan."""
        if work.repeat:
            content = {"state": state, "score": score, "reason": reason, **facts}
            write_json(self.folder.end_of(work.name), content)
        else:
            self.study.end(work.number, state, score=score, reason=reason, **facts)

    def _measure(self, work: Work, progress: Progress) -> tuple[Failure, ...]:
        """The table of all validation cases; a trial that was pruned is not ranked and needs none."""
        run = RunFolder(self.folder.training(work.name))
        if pruned_because(run.path) is not None:
            return ()
        return measure_rest(
            run,
            self.folder.scores(work.name),
            cases=self.cases,
            settings=self.settings,
            parts=self.parts,
            progress=progress,
        )

    def _train(self, work: Work, progress: Progress) -> TrainResult:
        """The training itself; one that was begun is continued, with the plan that it has."""
        out, plan = self.folder.training(work.name), self.folder.plan_of(trial_name(work.number))
        if not plan.is_file():
            save_plan(self._plan(work), plan)
        is_begun = RunFolder(out).record.is_file()
        attach = self.parts.attach
        if not work.repeat:
            validations = load_plan(plan).training.validations
            attach = (*attach, CurveWatch(self.study, work.number, out, validations=validations))
        job = SegmentationJob(replace(self.parts, attach=attach)).with_plan(_named(work.choice))
        settings = self.settings.training(
            out,
            plan=None if is_begun else plan,
            budget=self.record.trial_budget,
            epochs=self.record.trial_epochs,
            resume=out.exists(),  # also where a kill came before the record: the MLflow run is that of the first start
            seed=load_plan(plan).training.seed + work.repeat if work.repeat else None,
            tracking=replace(self.settings.tracking, parent=self.parent),
        )
        return train_job(job, self.dataset, settings, progress=progress)

    def _plan(self, work: Work) -> Plan:
        """The plan of a trial; the first has that of the search."""
        plan = load_plan(self.folder.plan)
        choice = work.choice if work.number else {}
        return trial_plan(plan, choice, replan=self._replan, name=trial_name(work.number).replace("_", " "))

    def _replan(
        self,
        *,
        network: NetworkName | None,
        preset: PresetName | None,
        spacing_mm: tuple[float, float, float] | None,
    ) -> Plan:
        """A plan from the scans with another network, other sizes or on another grid."""
        changes = {section: dict(values) for section, values in self.settings.changes.items()}
        if spacing_mm is not None:
            changes.setdefault("preprocess", {})["spacing_mm"] = list(spacing_mm)
        return new_plan(self.cases, self.settings, self.parts, changes=changes, network=network, preset=preset)


def new_plan(
    cases: TrainingCases,
    settings: SearchSettings,
    parts: SegmentationParts,
    *,
    changes: Mapping[str, Any],
    network: NetworkName | None = None,
    preset: PresetName | None = None,
    path: Path | None = None,
    progress: Progress | None = None,
) -> Plan:
    """A plan as a training of a trial's length would have it."""
    job = SegmentationJob(parts, network=network, preset=preset)
    asked = settings.training(settings.out, plan=path, changes=changes, changes_name=settings.changes_name)
    length = settings.trial_length
    return job.plan(
        cases,
        asked,
        device="cuda" if torch_device(settings.device).type == "cuda" else "cpu",
        progress=Named(progress or Silence(), "search"),
        seconds=parse_duration_s(length) if length else None,
    ).plan


def _named(choice: Mapping[str, Any]) -> dict[str, str]:
    """Values of a trial, for the name of its MLflow run."""
    return {name: f"{value:.4g}" if isinstance(value, float) else str(value) for name, value in choice.items()}
