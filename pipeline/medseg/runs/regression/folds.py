"""A network of quantities for every fold, below one MLflow run that has the numbers of all patients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medseg.atomic import check_writable
from medseg.cohort import SERIAL, run_cases
from medseg.errors import ConfigError, TrainingError
from medseg.evaluation.regression import (
    QuantitiesSummary,
    QuantityContract,
    scoped_quantity_metrics,
    summarise_quantities,
    unknown_note,
    write_quantity_metrics,
    write_quantity_summary,
)
from medseg.evaluation.segmentation import METRICS_NAME, SUMMARY_NAME
from medseg.inference.regression import load_quantity_card
from medseg.manifest import assign_folds, load_manifest, manifest_digest
from medseg.records import Failure, Manifest
from medseg.runs.choices import asked_choices, check_choices
from medseg.runs.describe import differences_text, run_name, training_tags
from medseg.runs.held_folder import freed_without_a_record, held_folder
from medseg.runs.processes import check_single_training
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.regression.fold_rows import read_fold_rows
from medseg.runs.regression.job import RegressionJob
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.shared_budget import SharedBudget
from medseg.runs.tracking import log_cases, recorded, unsent
from medseg.runs.train import TrainResult, merge_failures, train_job
from medseg.runs.trainings_record import earlier_trainings, run_above, save_trainings
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class _Fold:
    number: int
    folder: RunFolder

    @property
    def case_id(self) -> str:
        """Name of the fold where it fails."""
        return f"fold {self.number}"

    @property
    def is_finished(self) -> bool:
        """Whether the fold was closed after its tables."""
        is_measured = self.folder.validation.with_suffix(".json").is_file()
        return is_measured and self.folder.record.is_file() and self.folder.load_record().is_finished is not False


def train_quantity_folds(
    job: RegressionJob, dataset: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> TrainResult:
    """Train a network for every fold, each in a folder `fold_<n>`, and sum their validations up.

    All folds have the plan of the first, and equal parts of a wall-clock budget. A fold that fails is listed and does
    not stop the others. The folder holds the numbers of the validation cases of all folds, `metrics.csv` and
    `summary.json`, each by the network that has not seen the case.

    Args:
        job: Training of quantities.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices; the fold is passed over. A resumed training keeps the folds that are finished, unless another
            length is given, to which every fold is extended.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or every fold failed.
    """
    started = time.monotonic()
    check_single_training("all-folds")
    if settings.parallel > 1:
        raise ConfigError(
            f"parallel must be 1 for quantities, whose folds are trained in turn, got {settings.parallel}",
            remedy="leave it out",
        )
    if not settings.resume:
        check_empty(settings.out)
    with held_folder(settings.out), freed_without_a_record(settings):
        return _train_held(job, dataset, settings, started=started, progress=progress or Silence())


def _train_held(
    job: RegressionJob, dataset: Path, settings: TrainingSettings, *, started: float, progress: Progress
) -> TrainResult:
    path = RunFolder(settings.out).folds
    record = earlier_trainings(settings, path)
    is_extended = record is not None and record.has_other_length(settings)
    choices = asked_choices(settings, job.named_choices)
    if record is not None:
        check_choices(record.choices, choices)
        choices = record.choices or choices
        if not is_extended:
            settings = replace(settings, budget=record.budget, epochs=record.epochs)
    manifest, _ = load_manifest(dataset, data_root=settings.data_root)
    job.check(manifest)
    manifest = assign_folds(manifest)
    numbers = sorted({case.fold for case in manifest.select("training") if case.fold is not None})
    check_writable(settings.out, option="out")
    folds = [_Fold(number, RunFolder(settings.out / f"fold_{number}")) for number in numbers]
    if (shared := SharedBudget.of(settings, len(folds))) is not None:
        shared.check()
    named = replace(settings, fold=ALL_FOLDS)
    parent = run_above(named, manifest, record, stage=job.stage, name=run_name(job.stage, named, job.named_choices))
    with recorded(parent):
        if parent is not None:
            parent.begin(spool_of(settings.out))
            parent.log_tags(training_tags(settings))
            if record is None or parent.replaces:
                differing = differences_text(settings, job.named_choices)
                parent.log_parameters({"fold": ALL_FOLDS, "differs_from_default": differing})
        save_trainings(path, settings, parent, choices, earlier=record)
        wanted = [fold for fold in folds if is_extended or not fold.is_finished]
        work = _Work(job, dataset, settings, folds, shared, parent, progress, started, is_extended)
        done = run_cases(wanted, work.train, stage="train", executor=SERIAL)
        finished = [fold for fold in folds if fold.is_finished]
        if not finished:
            _give_up(settings.out, manifest, done.failures, work.usage)
        failures = merge_failures(*(one.failures for one in done.results), done.failures)
        summary = _write_tables(settings.out, finished, manifest, failures)
        costs = [load_quantity_card(fold.folder.path).cost for fold in finished]
        result = TrainResult(
            folder=settings.out,
            steps=sum(cost.steps for cost in costs if cost),
            seconds=time.monotonic() - started,
            summary=summary,
            failures=failures,
            warnings=tuple(dict.fromkeys(warning for one in done.results for warning in one.warnings)),
            notes=(f"{summary.cases} validation cases of {len(finished)} of {len(folds)} folds",),
            run_id=parent.run_id if parent else None,
        )
        if parent is not None:
            log_cases(parent, manifest, validation=manifest.select("training"))
            parent.log_metrics(scoped_quantity_metrics(summary, "val"), step=result.steps)
            for name in (METRICS_NAME, SUMMARY_NAME):
                parent.log_file(settings.out / name)
            parent.describe(f"**{manifest.name}**, all folds: {result.notes[0]}.\n\n```\n{summary}\n```")
    save_trainings(path, settings, parent, choices, earlier=record)
    return replace(result, warnings=(*result.warnings, *unsent(parent, settings.out)))


class _Work:
    """The training of one fold after the other."""

    def __init__(
        self,
        job: RegressionJob,
        dataset: Path,
        settings: TrainingSettings,
        folds: Sequence[_Fold],
        shared: SharedBudget | None,
        parent: TrackedRun | None,
        progress: Progress,
        started: float,
        is_extended: bool,
    ) -> None:
        self.job, self.dataset, self.settings, self.folds, self.shared = job, dataset, settings, folds, shared
        self.parent, self.progress, self.started, self.is_extended = parent, progress, started, is_extended
        self.usage: list[ConfigError] = []

    def train(self, fold: _Fold) -> TrainResult:
        """Train one fold with the plan of the first."""
        own = self._settings_of(fold)
        plan = next((one.folder.plan for one in self.folds if one.is_finished), None)
        job = self.job
        if fold.folder.record.is_file():
            job, own = RegressionJob(attach=job.attach), replace(own, plan=None, changes={}, seed=None)
        elif plan is not None:
            job, own = RegressionJob(attach=job.attach), replace(own, plan=plan, changes={})
        try:
            return train_job(job, self.dataset, own, progress=Named(self.progress, fold.case_id))
        except ConfigError as error:
            self.usage.append(error)
            raise

    def _settings_of(self, fold: _Fold) -> TrainingSettings:
        settings, is_begun = self.settings, fold.folder.record.is_file()
        budget, epochs = None, settings.epochs
        if fold.folder.checkpoint.is_file() and not self.is_extended:
            epochs = None  # its own length, which its record holds
        elif self.shared is not None:
            passed_s = 0.0 if settings.resume else time.monotonic() - self.started
            seconds = (
                self.shared.equal_s
                if settings.resume
                else self.shared.share_s(self.folds.index(fold), passed_s=passed_s, drawing_s=0.0)
            )
            budget = f"{seconds:.1f}s"
        return replace(
            settings,
            out=fold.folder.path,
            fold=str(fold.number),
            budget=budget,
            epochs=epochs,
            resume=is_begun or settings.resume,
            tracking=replace(settings.tracking, parent=self.parent.run_id if self.parent else None),
        )


def _give_up(folder: Path, manifest: Manifest, failures: Sequence[Failure], usage: Sequence[ConfigError]) -> None:
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


def _write_tables(
    folder: Path, finished: Sequence[_Fold], manifest: Manifest, failures: Sequence[Failure]
) -> QuantitiesSummary:
    """The validation cases of all folds in one table, in the form of an evaluation."""
    rows = read_fold_rows(fold.folder.validation.with_suffix(".csv") for fold in finished)
    patients = {case.case_id: case.patient_id for case in manifest.cases}
    summary = summarise_quantities(rows, patients=patients)
    ids = {row.case_id for row in rows}
    write_quantity_metrics(rows, folder / METRICS_NAME)
    write_quantity_summary(
        summary,
        folder / SUMMARY_NAME,
        contract=QuantityContract(),
        quantities=manifest.quantities or {},
        failures=failures,
        notes={
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            "folds": [fold.number for fold in finished],
            "patients": {case_id: patients[case_id] for case_id in sorted(ids)},
            "not_measured": sorted({case.case_id for case in manifest.select("training")} - ids),
            **unknown_note(rows),
        },
    )
    return summary
