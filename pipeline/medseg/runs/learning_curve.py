"""The same training on a quarter, a half and all of the cases: would more labels help, or more time?"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from medseg.atomic import check_writable, write_json, write_text
from medseg.delivery.segmentation import CurvePoint, save_learning_curve
from medseg.errors import ConfigError, TrainingError
from medseg.evaluation.segmentation import read_metrics
from medseg.planning import save_plan
from medseg.preprocess.segmentation.prepare import fill_store
from medseg.records import Case, Failure
from medseg.runs.choices import asked_choices, check_choices
from medseg.runs.describe import differences, differences_text, length_text, run_name, training_tags
from medseg.runs.held_folder import freed_without_a_record, held_folder
from medseg.runs.machine import threads, torch_device
from medseg.runs.processes import check_single_training
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.tracking import recorded, unsent
from medseg.runs.train import TrainResult, merge_failures, train_job
from medseg.runs.training_cases import TrainingCases, load_training_cases
from medseg.runs.trainings_record import earlier_trainings, run_above, save_trainings
from medseg.tracking import TrackedRun
from medseg.training import parse_duration_s
from medseg.training.forecast import Interval
from medseg.training.forecast_cases import gain_of_more_cases

TABLE_NAME = "learning_curve.csv"
PICTURE_NAME = "learning_curve.png"
RECORD_NAME = "learning_curve.json"
_SHARES = (1.0, 0.5, 0.25)
_FEWEST_PATIENTS = 4


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What trainings on parts of the cases have shown; its text is a table with a verdict.

    Attributes:
        points: A point per training, with rising numbers of cases.
        more_cases: Expected gain of twice the cases; None where nothing can be said, as without a training on all.
        more_time: Expected gain of a training of twice the length, on all cases; None likewise.
    """

    points: tuple[CurvePoint, ...]
    more_cases: Interval | None
    more_time: Interval | None

    @property
    def verdict(self) -> str:
        """What would help more, as far as that can be told."""
        if self.more_cases is None or self.more_time is None:
            return "what would help more cannot be told from these trainings"
        if self.more_cases.low > self.more_time.high:
            return "more labelled cases would help more than more time"
        if self.more_time.low > self.more_cases.high:
            return "more time would help more than more labelled cases"
        if max(self.more_cases.low, self.more_time.low) <= 0:
            return "neither is sure to help"
        return "which of both would help more cannot be told from these trainings"

    def __str__(self) -> str:
        lines = ["cases  patients  steps   Dice"]
        lines += [f"{one.cases:5}  {one.patients:8}  {one.steps:5}  {one.score:.4f}" for one in self.points]
        lines += [f"twice the labelled cases: {_gain_text(self.more_cases)}"]
        lines += [f"twice the time:           {_gain_text(self.more_time)}", self.verdict]
        return "\n".join(lines)


def train_learning_curve(
    job: SegmentationJob, dataset: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> TrainResult:
    """Train on all cases of a fold, on half of its patients and on a quarter, each in a folder `cases_<n>`.

    The patients of a smaller training are among those of the larger ones. All have the plan of all cases, the same
    validation cases, and the same number of epochs (in which fewer cases are fewer steps) or an equal part of a
    wall-clock budget. Cases are prepared before it is shared, so that the largest training has no less time for its
    steps.

    Args:
        job: Segmentation training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices; the output folder must be new or empty. A resumed curve trains what is missing, and measures
            again what is there.
        progress: Follows the work; nothing if not given.

    Returns:
        The folder, with a `LearningCurve` as summary. A training that fails is listed, and its point is missing.

    Raises:
        PipelineError: If the dataset or a setting is wrong, there are too few patients, or no training succeeds.
    """
    started = time.monotonic()
    check_single_training("a learning curve")
    _check_settings(settings)
    if not settings.resume:
        check_empty(settings.out)
    with held_folder(settings.out), freed_without_a_record(settings):
        return _train_held(job, dataset, settings, started=started, progress=progress or Silence())


def _check_settings(settings: TrainingSettings) -> None:
    """Refuse what a learning curve cannot be of, before any work.

    Raises:
        ConfigError: If the settings ask for it.
    """
    if settings.fold in {"all", ALL_FOLDS}:
        raise ConfigError(
            f"learning curve: is of a single fold, got {settings.fold}", remedy="give the number of a fold"
        )
    if settings.update is not None:
        raise ConfigError(
            "learning curve: its trainings begin without the cases that they leave out, got an update of a run that "
            "may know them",
            remedy="leave update out",
        )


def _train_held(
    job: SegmentationJob, dataset: Path, settings: TrainingSettings, *, started: float, progress: Progress
) -> TrainResult:
    """All trainings, in a folder that no other training writes to."""
    path = RunFolder(settings.out).curve
    record = earlier_trainings(settings, path)
    choices = asked_choices(settings, job.named_choices)
    if record is not None:
        check_choices(record.choices, choices | _length(settings))
        settings = replace(settings, budget=record.budget, epochs=record.epochs)
        choices = record.choices or choices
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root)
    job.check(cases.manifest)
    parts = _parts(cases, seed=settings.seed or 0)
    check_writable(settings.out, option="out")
    name = f"learning curve, {run_name(job.stage, settings, job.named_choices)}"
    parent = run_above(settings, cases.manifest, record, stage=job.stage, name=name)
    with recorded(parent):
        if parent is not None:
            parent.begin(spool_of(settings.out))
            parent.log_tags(training_tags(settings))
            if record is None or parent.replaces:
                parent.log_parameters({"differs_from_default": differences_text(settings, job.named_choices)})
        save_trainings(path, settings, parent, choices | _length(settings), earlier=record)
        work = _Work(job, dataset, settings, parent, progress, started)
        if not work.is_planned:
            work.prepare(cases, trainings=len(parts))
        for place, part in enumerate(parts):
            work.train(part, left=len(parts) - place)
        if not work.results:
            raise TrainingError(
                f"learning curve of {cases.manifest.name}: no training succeeded; {work.failures[0].reason}",
                remedy="train on all cases, to see what is wrong",
            )
        curve = _curve(work.results, cases)
        _write(settings.out, curve, cases)
        result = _result(work, curve, settings, started=started)
        if parent is not None:
            _log(parent, settings, curve)
    # A store that was silent at the start may have given the run another id.
    save_trainings(path, settings, parent, choices | _length(settings), earlier=record)
    return replace(result, warnings=(*result.warnings, *unsent(parent, settings.out)))


def _length(settings: TrainingSettings) -> dict[str, str]:
    """The length as a choice, since points of trainings of several lengths make no curve."""
    asked = {"budget": settings.budget, "epochs": settings.epochs}
    return {name: str(value) for name, value in asked.items() if value is not None}


@dataclass(slots=True)
class _Work:
    """The trainings, one after the other, the largest first."""

    job: SegmentationJob
    dataset: Path
    settings: TrainingSettings
    parent: TrackedRun | None
    progress: Progress
    started: float
    results: list[TrainResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def _plan(self) -> Path:
        return self.settings.out / "plan.yaml"

    @property
    def is_planned(self) -> bool:
        """Whether an earlier call has made the plan, and prepared the cases or begun to."""
        return self._plan.is_file()

    def prepare(self, cases: TrainingCases, *, trainings: int) -> None:
        """Plan for a training on all cases, and prepare them for every training."""
        settings, named = self.settings, Named(self.progress, "all cases")
        seconds = None if settings.budget is None else parse_duration_s(settings.budget) / trainings
        planned = self.job.plan(
            cases,
            settings,
            device="cuda" if torch_device(settings.device).type == "cuda" else "cpu",
            progress=named,
            seconds=seconds,
        )
        save_plan(planned.plan, self._plan)
        wanted = [*cases.training, *cases.validation]
        with named.over_cases(len(wanted), "prepare") as on_done:
            fill_store(
                wanted,
                cases.manifest,
                cases.root,
                config=planned.plan.preprocess,
                store=settings.store,
                executor=threads(settings.workers),
                on_done=on_done,
            )

    def train(self, part: Sequence[Case], *, left: int) -> None:
        """Train on a part of the cases; a failure is listed."""
        own, job = self._settings_of(part, left=left), self.job
        if RunFolder(own.out).record.is_file():  # it has its plan, seed and length
            job, own = job.with_plan({}), replace(own, plan=None, changes={}, seed=None, budget=None, epochs=None)
        else:
            job, own = job.with_plan(differences(own, job.named_choices)), replace(own, plan=self._plan, changes={})
        try:
            self.results.append(train_job(job, self.dataset, own, progress=Named(self.progress, f"{len(part)} cases")))
        except TrainingError as error:
            self.failures.append(Failure.of(own.out.name, "train", error))

    def _settings_of(self, part: Sequence[Case], *, left: int) -> TrainingSettings:
        budget = None
        if self.settings.budget is not None:
            total = parse_duration_s(self.settings.budget)
            each = (total - (time.monotonic() - self.started)) / left
            each = total / len(_SHARES) if self.settings.resume else each  # what was spent before is not known
            budget = f"{max(1.0, each):.1f}s"
        return replace(
            self.settings,
            out=self.settings.out / f"cases_{len(part)}",
            budget=budget,
            cases=tuple(case.case_id for case in part),
            tracking=replace(self.settings.tracking, parent=self.parent.run_id if self.parent else None),
        )


def _parts(cases: TrainingCases, *, seed: int) -> list[list[Case]]:
    """Cases of all patients, of half of them and of a quarter, each part within the one before.

    Raises:
        TrainingError: If there are too few patients.
    """
    patients = list(dict.fromkeys(case.patient_id for case in cases.training))
    if len(patients) < _FEWEST_PATIENTS or not cases.validation:
        raise TrainingError(
            f"learning curve of {cases.manifest.name}: must have {_FEWEST_PATIENTS} training patients and a validation "
            f"case, got {len(patients)} and {len(cases.validation)}",
            remedy="label more cases",
        )
    order = [patients[place] for place in np.random.default_rng([seed, 3]).permutation(len(patients))]
    kept = [set(order[: max(1, round(share * len(order)))]) for share in _SHARES]
    return [[case for case in cases.training if case.patient_id in one] for one in kept]


def _curve(results: Sequence[TrainResult], cases: TrainingCases) -> LearningCurve:
    """Points over the validation cases that every training measured."""
    rows = [_dice_by_case(RunFolder(result.folder).validation.with_suffix(".csv")) for result in results]
    common = sorted(set.intersection(*(set(one) for one in rows)))
    if not common:
        return LearningCurve((), None, None)
    patient_of = {case.case_id: case.patient_id for case in cases.training}
    points = []
    for result, dice in zip(results, rows, strict=True):
        ids = RunFolder(result.folder).load_record().training
        points.append(
            CurvePoint(
                cases=len(ids),
                patients=len({patient_of[case_id] for case_id in ids}),
                steps=result.steps,
                seconds=result.seconds,
                score=fmean(dice[case_id] for case_id in common),
                deviation=_deviation([dice[case_id] - rows[0][case_id] for case_id in common]),
            )
        )
    if points[0].cases < len(cases.training):  # the training on all cases has failed
        return LearningCurve(tuple(reversed(points)), None, None)
    points.reverse()
    gain = gain_of_more_cases(
        [point.cases for point in points],
        [point.score for point in points],
        deviations=[point.deviation for point in points],
    )
    return LearningCurve(tuple(points), gain, results[0].more_time)


def _dice_by_case(table: Path) -> dict[str, float]:
    """Mean Dice of each validation case over its labels."""
    values: dict[str, list[float]] = {}
    for row in read_metrics(table) if table.is_file() else ():
        if math.isfinite(row.values["dice"]):
            values.setdefault(row.case_id, []).append(row.values["dice"])
    return {case_id: fmean(found) for case_id, found in values.items()}


def _deviation(changes: Sequence[float]) -> float:
    """Standard error of a mean change over cases."""
    return stdev(changes) / math.sqrt(len(changes)) if len(changes) > 1 else 0.0


def _gain_text(gain: Interval | None) -> str:
    if gain is None:
        return "cannot be told"
    return f"Dice {gain.middle:+.4f} expected ({gain.low:+.4f} to {gain.high:+.4f}, four times out of five)"


def _write(folder: Path, curve: LearningCurve, cases: TrainingCases) -> None:
    lines = ["cases,patients,steps,seconds,dice,difference_standard_error"]
    lines += [
        f"{one.cases},{one.patients},{one.steps},{one.seconds:.1f},{one.score:.6f},{one.deviation:.6f}"
        for one in curve.points
    ]
    write_text(folder / TABLE_NAME, "\n".join(lines) + "\n")
    write_json(folder / RECORD_NAME, _content(curve, cases))
    if curve.points:
        save_learning_curve(curve.points, folder / PICTURE_NAME, more_cases=curve.more_cases, title=cases.manifest.name)


def _content(curve: LearningCurve, cases: TrainingCases) -> dict[str, Any]:
    return {
        "dataset": cases.manifest.name,
        "validation_cases": [case.case_id for case in cases.validation],
        "gain_of_twice_the_cases": curve.more_cases._asdict() if curve.more_cases else None,
        "gain_of_twice_the_time": curve.more_time._asdict() if curve.more_time else None,
        "interval": "80 %",
        "verdict": curve.verdict,
    }


def _result(work: _Work, curve: LearningCurve, settings: TrainingSettings, *, started: float) -> TrainResult:
    return TrainResult(
        folder=settings.out,
        steps=sum(result.steps for result in work.results),
        seconds=time.monotonic() - started,
        summary=curve,
        failures=merge_failures(*(result.failures for result in work.results), work.failures),
        warnings=tuple(dict.fromkeys(warning for result in work.results for warning in result.warnings)),
        notes=(f"table, record and picture in {settings.out / TABLE_NAME}, {RECORD_NAME} and {PICTURE_NAME}",),
        run_id=work.parent.run_id if work.parent else None,
        more_time=curve.more_time,
    )


def _log(run: TrackedRun, settings: TrainingSettings, curve: LearningCurve) -> None:
    for point in curve.points:
        run.log_metrics({"learning_curve_dice": point.score}, step=point.cases)
    for name, gain in (("cases", curve.more_cases), ("time", curve.more_time)):
        if gain is not None:
            run.log_metrics({f"gain_of_more_{name}": gain.middle}, step=curve.points[-1].cases)
    for file in (TABLE_NAME, RECORD_NAME, PICTURE_NAME):
        if (settings.out / file).is_file():
            run.log_file(settings.out / file)
    length = length_text(settings.budget, settings.epochs)
    run.describe(f"Learning curve ({length} in all)\n\n```\n{curve}\n```\n\nThe trainings are the runs below this one.")
