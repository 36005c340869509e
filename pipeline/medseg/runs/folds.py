"""Every fold of a dataset trained, below one MLflow run that has the numbers of all patients."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from medseg.atomic import check_writable, write_json
from medseg.cohort import run_cases
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError, TrainingError
from medseg.evaluation.segmentation import (
    METRICS_NAME,
    SUMMARY_NAME,
    EvaluationContract,
    Summary,
    read_metrics,
    scoped_metrics,
    summarise,
    write_metrics,
    write_summary,
)
from medseg.inference.segmentation import load_card
from medseg.manifest import assign_folds, load_manifest, manifest_digest
from medseg.records import CaseMetrics, Failure, Manifest
from medseg.runs.describe import differences, differences_text, length_text, run_name, shortened, training_tags
from medseg.runs.processes import check_single_fold
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.tracking import log_cases, recorded, resume_tracking, start_tracking, unsent
from medseg.runs.train import TrainResult, merge_failures, train_job
from medseg.tracking import MissingRunError, TrackedRun, without_password
from medseg.training import parse_duration_s


class FoldsRecord(Config):
    """What the training of all folds was started with: `folds.json`.

    Attributes:
        budget: Wall clock of all folds together.
        epochs: Epochs of each fold.
        mlflow_run_id: MLflow run above those of the folds, if there is one.
        tracking_uri: MLflow store of that run.
    """

    budget: str | None
    epochs: int | None
    mlflow_run_id: str | None
    tracking_uri: str | None


@dataclass(frozen=True, slots=True)
class _Fold:
    """A fold to train; `remaining` counts it and those after it."""

    number: int
    folder: RunFolder
    remaining: int

    @property
    def case_id(self) -> str:
        """Name of the fold where it fails."""
        return f"fold {self.number}"

    @property
    def is_finished(self) -> bool:
        """Whether the fold's last file is there."""
        return self.folder.validation.with_suffix(".json").is_file()


def train_folds(
    job: SegmentationJob, dataset: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> TrainResult:
    """Train a network for every fold, each in a folder `fold_<n>`, and sum their validations up.

    All folds have the plan of the first. A wall-clock budget is shared: each fold gets an equal part of what is left. A
    fold that fails is listed and does not stop the others. The folder holds `metrics.csv` and `summary.json` over the
    validation cases of all folds, as an evaluation does.

    Args:
        job: Segmentation training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices; the fold is passed over. A resumed training keeps the folds that are finished, unless another
            length is given, to which every fold is extended.
        progress: Follows the work; nothing if not given.

    Returns:
        The folder of all folds, with the summary over the validation cases of all of them.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or every fold failed.
    """
    started = time.monotonic()
    check_single_fold()
    record = _load_record(settings.out) if settings.resume else None
    is_extended = record is not None and _is_extended(record, settings)
    if record is None:
        check_empty(settings.out)
    elif not is_extended:
        settings = replace(settings, budget=record.budget, epochs=record.epochs)
    manifest, _ = load_manifest(dataset, data_root=settings.data_root)
    job.check(manifest)
    manifest = assign_folds(manifest)
    numbers = sorted({case.fold for case in manifest.select("training") if case.fold is not None})
    check_writable(settings.out, option="out")
    folds = [_Fold(n, RunFolder(settings.out / f"fold_{n}"), len(numbers) - i) for i, n in enumerate(numbers)]
    wanted = [fold for fold in folds if is_extended or not fold.is_finished]
    parent = _parent(job, settings, manifest, record)
    with recorded(parent):
        if parent is not None:
            parent.begin(spool_of(settings.out))
            parent.log_tags(training_tags(settings))  # at once, so that a late run is made before those below it
            if record is None:
                differing = differences_text(settings, job.named_choices)
                parent.log_parameters({"fold": ALL_FOLDS, "differs_from_default": differing})
        _save_record(settings, parent)
        work = _Work(job, dataset, settings, folds, parent, progress or Silence(), started)
        done = run_cases(wanted, work.train, stage="train")
        finished = [fold for fold in folds if fold.is_finished]
        if not finished:
            _give_up(settings.out, work.usage, manifest, done.failures)
        summary = _write_tables(settings.out, finished, manifest, done.failures)
        result = TrainResult(
            folder=settings.out,
            steps=sum(_steps_of(fold) for fold in finished),
            seconds=time.monotonic() - started,
            summary=summary,
            failures=merge_failures(*(one.failures for one in done.results), done.failures),
            warnings=tuple(dict.fromkeys(warning for one in done.results for warning in one.warnings)),
            notes=(f"{summary.cases} validation cases of {len(finished)} of {len(folds)} folds",),
            run_id=parent.run_id if parent else None,
        )
        if parent is not None:
            _log(parent, settings, manifest, result)
    _save_record(settings, parent)  # a store that was silent at the start may have given the run another id
    return replace(result, warnings=(*result.warnings, *unsent(parent, settings.out)))


@dataclass(slots=True)
class _Work:
    """The training of one fold after the other.

    Attributes:
        usage: Errors of usage, which concern every fold alike.
    """

    job: SegmentationJob
    dataset: Path
    settings: TrainingSettings
    folds: Sequence[_Fold]
    parent: TrackedRun | None
    progress: Progress
    started: float
    usage: list[ConfigError] = field(default_factory=list)

    def train(self, fold: _Fold) -> TrainResult:
        """Train one fold."""
        own, job = self._settings_of(fold), self.job
        shared = next((other.folder.plan for other in self.folds if other.is_finished), None)
        if shared is not None and not own.resume:
            job = job.with_plan(differences(own, job.named_choices))
            own = replace(own, plan=shared, changes={})
        name = f"fold {fold.number} ({len(self.folds) - fold.remaining + 1} of {len(self.folds)})"
        try:
            return train_job(job, self.dataset, own, progress=Named(self.progress, name))
        except ConfigError as error:
            self.usage.append(error)
            raise

    def _settings_of(self, fold: _Fold) -> TrainingSettings:
        """The settings of one fold, with its share of the budget."""
        settings, is_begun = self.settings, fold.folder.record.is_file()
        budget = None
        if settings.budget is not None:
            total = parse_duration_s(settings.budget)
            left = total if settings.resume else total - (time.monotonic() - self.started)
            among = len(self.folds) if settings.resume else fold.remaining
            budget = f"{max(1.0, left / among):.1f}s"
        return replace(
            settings,
            out=fold.folder.path,
            fold=str(fold.number),
            budget=budget,
            resume=is_begun,
            plan=None if is_begun else settings.plan,
            tracking=replace(settings.tracking, parent=self.parent.run_id if self.parent else None),
        )


def _is_extended(record: FoldsRecord, settings: TrainingSettings) -> bool:
    """Whether another length is asked for than the training began with."""
    asked = (settings.budget, settings.epochs)
    return asked not in {(None, None), (record.budget, record.epochs)}


def _give_up(folder: Path, usage: Sequence[ConfigError], manifest: Manifest, failures: Sequence[Failure]) -> NoReturn:
    """Raise the error of a training without a single fold.

    Raises:
        ConfigError: If a setting is wrong; the folder is free again.
        TrainingError: With the reason of the first fold, otherwise.
    """
    if usage:
        if not list(folder.glob("fold_*")):
            RunFolder(folder).folds.unlink(missing_ok=True)
        raise usage[0]
    reason = failures[0].reason if failures else "no fold has ended"
    raise TrainingError(
        f"folds of {manifest.name}: none could be trained; {reason}",
        remedy="train one alone, to see what is wrong with it",
    )


def _parent(
    job: SegmentationJob, settings: TrainingSettings, manifest: Manifest, record: FoldsRecord | None
) -> TrackedRun | None:
    """The MLflow run above those of the folds; a new one where the store has lost it."""
    if settings.tracking.is_on and record is not None and record.mlflow_run_id and record.tracking_uri:
        uri = settings.tracking.uri or record.tracking_uri
        with suppress(MissingRunError):
            return resume_tracking(record.mlflow_run_id, uri=uri)
    named = replace(settings, fold=ALL_FOLDS)
    name = run_name(job.stage, named, job.named_choices)
    return start_tracking(settings.tracking, manifest, stage=job.stage, name=name, tags={"medseg.fold": ALL_FOLDS})


def _save_record(settings: TrainingSettings, parent: TrackedRun | None) -> None:
    record = FoldsRecord(
        budget=settings.budget,
        epochs=settings.epochs,
        mlflow_run_id=parent.run_id if parent else None,
        tracking_uri=without_password(parent.tracking_uri) if parent else None,
    )
    write_json(RunFolder(settings.out).folds, record.model_dump(mode="json"))


def _load_record(folder: Path) -> FoldsRecord:
    path = RunFolder(folder).folds
    try:
        return parse_config(FoldsRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"folds {folder}: {path.name} must be readable to resume, got: {error}", remedy="start a new training"
        ) from error


def _write_tables(folder: Path, finished: Sequence[_Fold], manifest: Manifest, failures: Sequence[Failure]) -> Summary:
    """The validation cases of all folds in one table, in the form of an evaluation."""
    rows: list[CaseMetrics] = []
    for fold in finished:
        table = fold.folder.validation.with_suffix(".csv")
        if table.is_file():  # the budget may have had no time for a case
            rows += read_metrics(table)
    patients = {case.case_id: case.patient_id for case in manifest.cases}
    summary = summarise(rows, patients=patients)
    write_metrics(rows, folder / METRICS_NAME)
    measured = {row.case_id for row in rows}
    write_summary(
        summary,
        folder / SUMMARY_NAME,
        contract=EvaluationContract(labels=manifest.foreground, metrics=("dice", "iou")),
        failures=failures,
        notes={
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            "folds": [fold.number for fold in finished],
            "patients": {case_id: patients[case_id] for case_id in sorted(measured)},
            "trained_on": _seen_before(finished),
            "not_measured": sorted({case.case_id for case in manifest.select("training")} - measured),
        },
    )
    return summary


def _steps_of(fold: _Fold) -> int:
    """Steps of a fold's training, in all."""
    cost = load_card(fold.folder.path).cost
    return cost.steps if cost else 0


def _seen_before(folds: Sequence[_Fold]) -> list[str]:
    """Validation cases whose patients an earlier run has seen, with whose weights a fold began."""
    seen: set[str] = set()
    for fold in folds:
        if fold.folder.initialisation.is_file():
            content = json.loads(fold.folder.initialisation.read_text(encoding="utf-8"))
            seen.update(content.get("validation_cases_seen", ()))
    return sorted(seen)


def _log(run: TrackedRun, settings: TrainingSettings, manifest: Manifest, result: TrainResult) -> None:
    """Numbers over all folds, and what they are."""
    log_cases(run, manifest, validation=manifest.select("training"))
    run.log_metrics(scoped_metrics(result.summary, "val"), step=result.steps)
    for name in (METRICS_NAME, SUMMARY_NAME):
        run.log_file(settings.out / name)
    seen = json.loads((settings.out / SUMMARY_NAME).read_text(encoding="utf-8"))["trained_on"]
    flattered = f" {len(seen)} were seen by the run whose weights it began with, which flatters it." if seen else ""
    parts = [
        (
            f"**{manifest.name}**, all folds ({length_text(settings.budget, settings.epochs)}): {result.notes[0]}, "
            f"each measured by the network that was trained without it.{flattered}"
        ),
        f"```\n{shortened(str(result.summary))}\n```",
        "The folds are the runs below this one.",
    ]
    run.describe("\n\n".join(parts))
