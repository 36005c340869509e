"""Every fold of a dataset trained, below one MLflow run that has the numbers of all patients."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import torch

from medseg.atomic import check_writable
from medseg.cohort import SERIAL, Executor, run_cases
from medseg.errors import ConfigError, TrainingError
from medseg.evaluation.segmentation import (
    METRICS_NAME,
    SUMMARY_NAME,
    Summary,
    scoped_metrics,
    summarise,
    write_metrics,
    write_summary,
)
from medseg.inference.segmentation import load_card
from medseg.manifest import assign_folds, has_reference, load_manifest, manifest_digest
from medseg.records import Failure, Manifest
from medseg.runs.choices import asked_choices, check_choices
from medseg.runs.describe import differences, differences_text, length_text, run_name, shortened, training_tags
from medseg.runs.held_folder import freed_without_a_record, held_folder
from medseg.runs.machine import torch_device, worker_count
from medseg.runs.processes import check_single_training
from medseg.runs.progress import Named, Progress, Silence
from medseg.runs.run_folder import RunFolder, check_empty, spool_of
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.segmentation.measured_folds import MeasuredFolds, drawing_seconds, measure_folds
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.shared_budget import SharedBudget
from medseg.runs.tracking import log_cases, recorded, unsent
from medseg.runs.train import TrainResult, merge_failures, train_job
from medseg.runs.training_order import Share, TrainingOrder
from medseg.runs.training_processes import ProcessSlots, TrainingProcess, check_sendable
from medseg.runs.trainings_record import earlier_trainings, run_above, save_trainings
from medseg.tracking import TrackedRun


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
        """Whether the fold has its tables, and was closed after them."""
        is_measured = self.folder.validation.with_suffix(".json").is_file()
        return is_measured and self.folder.record.is_file() and self.folder.load_record().is_finished is not False


def train_folds(
    job: SegmentationJob, dataset: Path, settings: TrainingSettings, *, progress: Progress | None = None
) -> TrainResult:
    """Train a network for every fold, each in a folder `fold_<n>`, and sum their validations up.

    All folds have the plan of the first. A wall-clock budget is shared: each fold gets an equal part of what is left,
    and as many parts as folds are trained at once; the time to draw the masks at the end is set aside, see
    `SharedBudget`. A fold that fails, or whose process is killed, is listed and does not stop the others.

    The folder holds the mask of every training case in `out_of_fold`, drawn by the networks that have not seen its
    patient, and their numbers in `metrics.csv` and `summary.json`, as an evaluation does.

    Args:
        job: Segmentation training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices; the fold is passed over. A resumed training keeps the folds that are finished, unless another
            length is given, to which every fold is extended.
        progress: Follows the work; nothing if not given. Of folds that are trained at once it hears in one thread.

    Returns:
        The folder of all folds, with the summary over the validation cases of all of them.

    Raises:
        PipelineError: If the dataset or a setting is wrong, or every fold failed.
    """
    started = time.monotonic()
    check_single_training("all-folds")
    _check_parallel(job, settings)
    if not settings.resume:
        check_empty(settings.out)
    with held_folder(settings.out), freed_without_a_record(settings):
        return _train_held(job, dataset, settings, started=started, progress=progress or Silence())


def _train_held(
    job: SegmentationJob, dataset: Path, settings: TrainingSettings, *, started: float, progress: Progress
) -> TrainResult:
    """All folds, in a folder that no other training writes to."""
    path = RunFolder(settings.out).folds
    record = earlier_trainings(settings, path)
    is_extended = record is not None and record.has_other_length(settings)
    choices = asked_choices(settings, job.named_choices)
    if record is not None:
        check_choices(record.choices, choices)
        choices = record.choices or choices
    if record is not None and not is_extended:
        settings = replace(settings, budget=record.budget, epochs=record.epochs)
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    job.check(manifest)
    manifest = assign_folds(manifest)
    numbers = sorted({case.fold for case in manifest.select("training") if case.fold is not None})
    check_writable(settings.out, option="out")
    folds = [_Fold(n, RunFolder(settings.out / f"fold_{n}"), len(numbers) - i) for i, n in enumerate(numbers)]
    wanted = [fold for fold in folds if is_extended or not fold.is_finished]
    if (shared := SharedBudget.of(settings, len(folds))) is not None:
        shared.check()
    named = replace(settings, fold=ALL_FOLDS)
    name = run_name(job.stage, named, job.named_choices)
    parent = run_above(named, manifest, record, stage=job.stage, name=name)
    with recorded(parent):
        if parent is not None:
            parent.begin(spool_of(settings.out))
            parent.log_tags(training_tags(settings))  # at once, so that a late run is made before those below it
            if record is None or parent.replaces:
                differing = differences_text(settings, job.named_choices)
                parent.log_parameters({"fold": ALL_FOLDS, "differs_from_default": differing})
        save_trainings(path, settings, parent, choices, earlier=record)
        cases = [case for case in manifest.select("training") if has_reference(case, manifest)]
        drawing_s = partial(drawing_seconds, job=job, settings=settings, cases=cases, root=root)
        work = _Work(job, dataset, settings, folds, wanted, parent, progress, started, is_extended, drawing_s)
        done = run_cases(wanted, work.train, stage="train", executor=work.executor())
        finished = [fold for fold in folds if fold.is_finished]
        if not finished:
            _give_up(settings.out, work.usage, manifest, done.failures)
        numbers_of = {fold.number: fold.folder for fold in finished}
        measured = measure_folds(job, dataset, settings, numbers_of, progress=progress)
        failures = merge_failures(done.failures, measured.failures)
        summary = _write_tables(settings.out, finished, manifest, measured, failures)
        result = TrainResult(
            folder=settings.out,
            steps=sum(_steps_of(fold) for fold in finished),
            seconds=time.monotonic() - started,
            summary=summary,
            failures=merge_failures(*(one.failures for one in done.results), failures),
            warnings=tuple(
                dict.fromkeys([*(warning for one in done.results for warning in one.warnings), *measured.warnings])
            ),
            notes=(
                f"{summary.cases} validation cases of {len(finished)} of {len(folds)} folds",
                *(str(spread) for spread in measured.spread if spread.metric == "dice"),
            ),
            run_id=parent.run_id if parent else None,
        )
        if parent is not None:
            _log(parent, settings, manifest, result)
    # A store that was silent at the start may have given the run another id.
    save_trainings(path, settings, parent, choices, earlier=record)
    return replace(result, warnings=(*result.warnings, *unsent(parent, settings.out)))


@dataclass(slots=True)
class _Work:
    """The training of one fold after the other, or of several at once.

    Attributes:
        wanted: Folds to train.
        drawing_s: Seconds that the masks of all cases take with the network of a run.
        usage: Errors of usage, which concern every fold alike.
        processes: Training of each fold that has a process of its own, by its number.
        reserved_s: Seconds of the budget that are set aside for the masks; None as long as that is not known.
        shares_s: Share of the budget of each fold that has begun, by its number.
        begun: Reading of `time.monotonic()` at which each fold began, by its number.
        taken_s: Seconds that a fold took that has ended, by its number.
    """

    job: SegmentationJob
    dataset: Path
    settings: TrainingSettings
    folds: Sequence[_Fold]
    wanted: Sequence[_Fold]
    parent: TrackedRun | None
    progress: Progress
    started: float
    is_extended: bool
    drawing_s: Callable[[Path], float]
    usage: list[ConfigError] = field(default_factory=list)
    processes: dict[int, TrainingProcess] = field(default_factory=dict)
    reserved_s: float | None = None
    shares_s: dict[int, float] = field(default_factory=dict)
    begun: dict[int, float] = field(default_factory=dict)
    taken_s: dict[int, float] = field(default_factory=dict)

    def executor(self) -> Executor:
        """Runs the folds one after the other in this process, or several at once in processes of their own."""
        if self.settings.parallel == 1:
            return SERIAL
        return ProcessSlots(self.settings.parallel, self._begin, lambda: self._shared_plan() is not None)

    def train(self, fold: _Fold) -> TrainResult:
        """Train one fold, or take the result of its process."""
        try:
            if fold.number in self.processes:
                return self.processes[fold.number].result()
            job, own = self._order_of(fold)
            return train_job(job, self.dataset, own, progress=Named(self.progress, self._name_of(fold)))
        except ConfigError as error:
            self.usage.append(error)
            raise
        finally:
            self.taken_s[fold.number] = time.monotonic() - self.begun[fold.number]

    def _begin(self, fold: _Fold, slot: int) -> TrainingProcess:
        """Start the process of a fold."""
        job, own = self._order_of(fold)
        threads = max(1, worker_count(None) // self.settings.parallel)
        own = replace(own, workers=own.workers or threads)
        share = Share(threads, slot)
        order = TrainingOrder(f"fold {fold.number}", job, self.dataset, own, share, started=time.monotonic())
        self.processes[fold.number] = TrainingProcess(order, Named(self.progress, self._name_of(fold)))
        return self.processes[fold.number]

    def _order_of(self, fold: _Fold) -> tuple[SegmentationJob, TrainingSettings]:
        """Job and settings of a fold, with the plan of the first."""
        self.begun[fold.number] = time.monotonic()
        own, shared = self._settings_of(fold), self._shared_plan()
        if fold.folder.record.is_file():  # it has its plan, of what it was asked for or of another fold
            return self.job.with_plan({}), replace(own, plan=None, changes={}, seed=None)
        if shared is None:
            return self.job, own
        return self.job.with_plan(differences(own, self.job.named_choices)), replace(own, plan=shared, changes={})

    def _shared_plan(self) -> Path | None:
        """Plan of a fold that is finished; of folds that are trained at once, of the first that has begun."""
        is_enough = self.settings.parallel > 1
        begun = (fold for fold in self.folds if fold.is_finished or (is_enough and fold.folder.record.is_file()))
        return next((fold.folder.plan for fold in begun), None)

    def _name_of(self, fold: _Fold) -> str:
        return f"fold {fold.number} ({len(self.folds) - fold.remaining + 1} of {len(self.folds)})"

    def _settings_of(self, fold: _Fold) -> TrainingSettings:
        """The settings of one fold, with its share of the budget."""
        settings, is_begun = self.settings, fold.folder.record.is_file()
        budget, epochs = None, settings.epochs
        if fold.folder.checkpoint.is_file() and not self.is_extended:
            epochs = None  # its own length, which its record holds
        elif (shared := SharedBudget.of(settings, len(self.folds))) is not None:
            self.shares_s[fold.number] = self._share_s(shared, fold)
            budget = f"{self.shares_s[fold.number]:.1f}s"
        return replace(
            settings,
            out=fold.folder.path,
            fold=str(fold.number),
            budget=budget,
            epochs=epochs,
            resume=is_begun or settings.resume,
            parallel=1,
            tracking=replace(settings.tracking, parent=self.parent.run_id if self.parent else None),
        )

    def _share_s(self, shared: SharedBudget, fold: _Fold) -> float:
        """Seconds of a fold that begins now; of a training that is resumed, as if it had begun anew."""
        if self.settings.resume:
            return shared.equal_s
        passed_s = time.monotonic() - self.started
        place = len(self.folds) - fold.remaining
        return shared.share_s(place, passed_s=passed_s, drawing_s=self._known_drawing_s(), overrun_s=self._overrun_s())

    def _overrun_s(self) -> float:
        """Seconds by which a fold took longer than its share, at most."""
        return max([0.0, *(taken - self.shares_s.get(number, taken) for number, taken in self.taken_s.items())])

    def _known_drawing_s(self) -> float | None:
        """Seconds for the masks of all cases, tried once a fold has ended; None before."""
        ended = next((fold for fold in self.folds if fold.is_finished), None)
        if self.reserved_s is None and ended is not None:
            self.reserved_s = self.drawing_s(ended.folder.path)
        return self.reserved_s


def _check_parallel(job: SegmentationJob, settings: TrainingSettings) -> None:
    """Refuse more folds at once than there are GPUs, and a job that no other process can take.

    Raises:
        ConfigError: If that is so.
    """
    if settings.parallel == 1:
        return
    check_sendable(job)
    device = torch_device(settings.device)
    if device.type == "cuda" and settings.parallel > (gpus := torch.cuda.device_count()):
        raise ConfigError(
            f"parallel must be at most the number of GPUs, {gpus}, got {settings.parallel}",
            remedy="train fewer folds at once, or on the device cpu",
        )


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


def _write_tables(
    folder: Path,
    finished: Sequence[_Fold],
    manifest: Manifest,
    measured: MeasuredFolds,
    failures: Sequence[Failure],
) -> Summary:
    """The cases of all folds in one table, in the form of an evaluation."""
    patients = {case.case_id: case.patient_id for case in manifest.cases}
    summary = summarise(measured.rows, patients=patients)
    write_metrics(measured.rows, folder / METRICS_NAME)
    ids = {row.case_id for row in measured.rows}
    write_summary(
        summary,
        folder / SUMMARY_NAME,
        contract=measured.contract,
        failures=failures,
        notes={
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            "folds": [fold.number for fold in finished],
            "patients": {case_id: patients[case_id] for case_id in sorted(ids)},
            "spread": [asdict(spread) for spread in measured.spread],
            "masks": measured.masks,
            "trained_on": _seen_before(finished),
            "not_measured": sorted({case.case_id for case in manifest.select("training")} - ids),
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
