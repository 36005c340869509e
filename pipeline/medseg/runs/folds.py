"""Every fold of a dataset trained, below one MLflow run that has the numbers of all patients."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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
from medseg.manifest import assign_folds, load_manifest, manifest_digest
from medseg.records import CaseMetrics, Failure, Manifest
from medseg.runs.describe import length_text, run_name, training_tags
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.tracking import log_cases, recorded, resume_tracking, start_tracking, unsent
from medseg.runs.train import TrainResult, merge_failures, train_job
from medseg.tracking import TrackedRun, without_password
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
        settings: Choices; the fold is passed over. A resumed training keeps the folds that are finished.
        progress: Follows the work; nothing if not given.

    Returns:
        The folder of all folds, with the summary over the validation cases of all of them.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or every fold failed.
    """
    started = time.monotonic()
    record = _load_record(settings.out) if settings.resume else None
    if record is None:
        check_empty(settings.out)
    elif settings.budget is None and settings.epochs is None:
        settings = replace(settings, budget=record.budget, epochs=record.epochs)
    manifest, _ = load_manifest(dataset, data_root=settings.data_root)
    job.check(manifest)
    manifest = assign_folds(manifest)
    numbers = sorted({case.fold for case in manifest.select("training") if case.fold is not None})
    check_writable(settings.out, option="out")
    folds = [_Fold(n, RunFolder(settings.out / f"fold_{n}"), len(numbers) - i) for i, n in enumerate(numbers)]
    parent = _parent(job, settings, manifest, record)
    with recorded(parent):
        if parent is not None:
            parent.begin(spool_of(settings.out))
        _save_record(settings, parent)

        def train(fold: _Fold) -> TrainResult:
            own = _settings_of(fold, settings, started=started, parent=parent)
            shared = next((other.folder.plan for other in folds if other.is_finished), None)
            own_job = job
            if shared is not None and not own.resume:
                own, own_job = replace(own, plan=shared, changes={}), job.without_choices()
            name = f"fold {fold.number} ({len(folds) - fold.remaining + 1} of {len(folds)})"
            return train_job(own_job, dataset, own, progress=Named(progress or Silence(), name))

        done = run_cases([fold for fold in folds if not fold.is_finished], train, stage="train")
        finished = [fold for fold in folds if fold.is_finished]
        if not finished:
            reason = done.failures[0].reason if done.failures else "no fold has ended"
            raise TrainingError(
                f"folds of {manifest.name}: none could be trained; {reason}",
                remedy="train one alone, to see what is wrong with it",
            )
        summary = _write_tables(settings.out, finished, manifest, done.failures)
        result = TrainResult(
            folder=settings.out,
            steps=sum(one.steps for one in done.results),
            seconds=time.monotonic() - started,
            summary=summary,
            failures=merge_failures(*(one.failures for one in done.results), done.failures),
            warnings=tuple(dict.fromkeys(warning for one in done.results for warning in one.warnings)),
            notes=(f"{summary.cases} validation cases of {len(finished)} of {len(folds)} folds",),
            run_id=parent.run_id if parent else None,
        )
        if parent is not None:
            _log(parent, settings, manifest, result)
    return replace(result, warnings=(*result.warnings, *unsent(parent, settings.out)))


def _settings_of(
    fold: _Fold, settings: TrainingSettings, *, started: float, parent: TrackedRun | None
) -> TrainingSettings:
    """The settings of one fold, with its share of what is left of the budget."""
    is_begun = fold.folder.record.is_file()
    budget = None
    if settings.budget is not None and not is_begun:
        left = parse_duration_s(settings.budget) - (time.monotonic() - started)
        budget = f"{max(1.0, left / fold.remaining):.1f}s"
    return replace(
        settings,
        out=fold.folder.path,
        fold=str(fold.number),
        budget=budget,
        epochs=None if is_begun else settings.epochs,
        resume=is_begun,
        plan=None if is_begun else settings.plan,
        tracking=replace(settings.tracking, parent=parent.run_id if parent else None),
    )


def _parent(
    job: SegmentationJob, settings: TrainingSettings, manifest: Manifest, record: FoldsRecord | None
) -> TrackedRun | None:
    """The MLflow run above those of the folds."""
    if settings.tracking.is_on and record is not None and record.mlflow_run_id and record.tracking_uri:
        uri = settings.tracking.uri or record.tracking_uri
        return resume_tracking(record.mlflow_run_id, uri=uri)
    named = replace(settings, fold=ALL_FOLDS)
    tags = {"medseg.fold": ALL_FOLDS, **training_tags(settings)}
    name = run_name(job.stage, named, job.named_choices)
    return start_tracking(settings.tracking, manifest, stage=job.stage, name=name, tags=tags)


def _save_record(settings: TrainingSettings, parent: TrackedRun | None) -> None:
    record = FoldsRecord(
        budget=settings.budget,
        epochs=settings.epochs,
        mlflow_run_id=parent.run_id if parent else None,
        tracking_uri=without_password(parent.tracking_uri) if parent else None,
    )
    write_json(_record_file(settings.out), record.model_dump(mode="json"))


def _load_record(folder: Path) -> FoldsRecord:
    path = _record_file(folder)
    try:
        return parse_config(FoldsRecord, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"folds {folder}: {path.name} must be readable to resume, got: {error}", remedy="start a new training"
        ) from error


def _record_file(folder: Path) -> Path:
    return folder / "folds.json"


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
            "not_measured": sorted({case.case_id for case in manifest.select("training")} - measured),
        },
    )
    return summary


def _log(run: TrackedRun, settings: TrainingSettings, manifest: Manifest, result: TrainResult) -> None:
    """Numbers over all folds, and what they are."""
    log_cases(run, manifest, validation=manifest.select("training"))
    run.log_metrics(scoped_metrics(result.summary, "val"))
    for name in (METRICS_NAME, SUMMARY_NAME):
        run.log_file(settings.out / name)
    parts = [
        (
            f"**{manifest.name}**, all folds ({length_text(settings.budget, settings.epochs)}): {result.notes[0]}, "
            "each measured by the network that has not seen it."
        ),
        f"```\n{result.summary}\n```",
        "The folds are the runs below this one.",
    ]
    run.describe("\n\n".join(parts))
