"""The story of a training, the same for every kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from medseg.atomic import check_writable
from medseg.errors import CheckpointError, ConfigError
from medseg.manifest import manifest_digest, mixed_channels
from medseg.planning import plan_digest, save_plan
from medseg.records import Failure
from medseg.runs.choices import asked_choices, check_choices
from medseg.runs.describe import (
    describe_training,
    differences_text,
    forecast_notes,
    renamed,
    run_name,
    training_parameters,
    training_tags,
)
from medseg.runs.held_folder import freed_without_a_record, held_folder
from medseg.runs.initial_weights import initial_weights, resumed_initial
from medseg.runs.job import AnyPlan, AnyTask, Finished, Job, Prepared
from medseg.runs.machine import torch_device
from medseg.runs.processes import Order, check_batches, check_single_training, follow_training, give_order
from medseg.runs.progress import Progress, ProgressListener, Silence
from medseg.runs.run_folder import RunFolder, RunRecord, check_empty
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking, log_cases, replacing, resume_tracking, start_tracking, unsent
from medseg.runs.training_cases import TrainingCases, load_training_cases
from medseg.runs.updated_run import check_resumed_update, settings_of_update
from medseg.tracking import MissingRunError, TrackedRun, without_password
from medseg.training import Budget, ClockBudget, CurvesListener, StepBudget, TrackingListener, parse_duration_s
from medseg.training.checkpoint import checkpoint_facts
from medseg.training.engine import run_task
from medseg.training.forecast import Interval
from medseg.training.ranks import is_first_rank, wait_for_all, working_alone


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished training.

    Attributes:
        folder: Folder of the run; its model lies in `model`.
        steps: Steps done; of all folds together where all are trained.
        seconds: Seconds of the budget that were used.
        summary: Numbers of the validation cases; its text is a table.
        failures: Cases that could not be used, with the reasons.
        warnings: Sentences for the person who started the training.
        notes: Facts beside the summary.
        run_id: MLflow run; None without tracking.
        more_time: Expected gain of the score with twice the length; None where nothing can be said.
    """

    folder: Path
    steps: int
    seconds: float
    summary: Any
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    run_id: str | None
    more_time: Interval | None = None


def train_job(
    job: Job[AnyPlan, AnyTask],
    dataset: Path,
    settings: TrainingSettings,
    *,
    started: float | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Plan, prepare, train within the budget, measure and deliver.

    In a distributed training (`ignite.distributed`) every process calls this with the same arguments; the first alone
    reports and writes, and the result of the others has neither summary nor warnings.

    Args:
        job: Kind of training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        started: Reading of `time.monotonic()` at which a wall-clock budget begins; now if not given.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset, a setting or the earlier run is wrong, no case is left, or training cannot go on.
    """
    started = time.monotonic() if started is None else started
    if settings.update is not None or RunFolder(settings.out).update.is_file():
        check_single_training("an update")
    if not is_first_rank():
        outcome = follow_training(job, dataset, settings)
        return TrainResult(settings.out, outcome.steps, outcome.seconds, None, (), (), (), None)
    if not settings.resume:
        check_empty(settings.out)
    with held_folder(settings.out), freed_without_a_record(settings):
        return _train_held(job, dataset, settings, started=started, progress=progress or Silence())


def _train_held(
    job: Job[AnyPlan, AnyTask], dataset: Path, settings: TrainingSettings, *, started: float, progress: Progress
) -> TrainResult:
    """A training in a folder that no other one writes to."""
    folder = RunFolder(settings.out)
    earlier = _earlier(folder, settings)
    if earlier is None:
        settings = settings_of_update(replace(settings, resume=False), stage=job.stage)
    else:
        check_choices(earlier.choices, asked_choices(settings, job.named_choices))
        settings = _as_before(settings, folder, earlier)
    budget_s = parse_duration_s(settings.budget) if settings.budget else None
    torch_device(settings.device)  # a device that is not there is refused before any work
    cases = load_training_cases(dataset, fold=settings.fold, data_root=settings.data_root, only=settings.cases)
    job.check(cases.manifest)
    check_writable(settings.out, option="out")
    check_writable(settings.store, option="store")
    run = _start_run(job, settings, cases, earlier)
    with run.recording() if run else nullcontext():
        clock = partial(make_budget, settings, started=started, budget_s=budget_s)
        deadline = None if budget_s is None else started + budget_s
        result = _train(
            job, cases, settings, earlier=earlier, clock=clock, deadline=deadline, run=run, progress=progress
        )
    folder.save_record(folder.load_record().model_copy(update={"is_finished": True}))
    wait_for_all()
    return replace(result, warnings=(*result.warnings, *unsent(run, settings.out)))


def _train(
    job: Job[AnyPlan, AnyTask],
    cases: TrainingCases,
    settings: TrainingSettings,
    *,
    earlier: RunRecord | None,
    clock: Callable[..., Budget],
    deadline: float | None,
    run: TrackedRun | None,
    progress: Progress,
) -> TrainResult:
    """Everything from the plan to the delivered model, in an MLflow run that is open."""
    folder, device = RunFolder(settings.out), torch_device(settings.device)
    with working_alone():
        planned = job.plan(
            cases,
            settings,
            device="cuda" if device.type == "cuda" else "cpu",
            progress=progress,
            seconds=None if deadline is None else deadline - time.monotonic(),
        )
    plan = planned.plan
    _check_same_run(earlier, cases, plan, job)
    check_batches(plan)
    prepared = job.prepare(cases, plan, settings, progress=progress)
    task = prepared.task
    failures = merge_failures(planned.failures, prepared.failures)
    reached = _Reached.of(folder) if settings.resume else _Reached()
    budget = clock(
        steps=task.optimisation.epochs * task.steps_per_epoch,
        steps_per_epoch=task.steps_per_epoch,
        used_s=reached.seconds,
        **({"started": time.monotonic()} if reached.step else {}),  # coming so far again costs nothing
    )
    is_described = _is_described(earlier)
    if run is not None:
        if run.replaces and not folder.spool.is_file():
            is_described = False
        run.begin(folder.spool)
        run.log_tags(training_tags(settings))
    save_plan(plan, folder.plan)
    record = _record(settings, cases, plan, run, earlier, job).model_copy(update={"is_described": is_described})
    job.save_card(folder, cases, plan, task, is_resumed=settings.resume, run_id=record.mlflow_run_id)
    folder.save_record(record)
    if run is not None and not is_described:
        _describe(run, job, settings, cases, plan, folder, prepared, record, failures=failures)
        record = record.model_copy(update={"is_described": True})
        folder.save_record(record)
    is_resumed = settings.resume and folder.checkpoint.exists()
    give_order(Order(plan, settings.fold, prepared.failures, budget, is_resumed, settings.cases))
    with progress.over_budget("train") as on_step:
        outcome = run_task(
            task,
            budget,
            listeners=_listeners(folder, progress, run),
            on_step=on_step,
            attach=job.attach,
            resume=is_resumed,
        )
    name = f"{cases.manifest.name}-{settings.out.resolve().name}"
    if run is not None and run.run_id != record.mlflow_run_id:  # the store was silent at the start
        record = record.model_copy(update={"mlflow_run_id": run.run_id})
        folder.save_record(record)
    delivered = job.deliver(
        Finished(folder, cases, plan, task, outcome, failures, run, run_id=record.mlflow_run_id, name=name)
    )
    if run is not None:
        run.describe(describe_training(settings, cases, outcome, delivered.summary))
    return TrainResult(
        folder=folder.path,
        steps=outcome.steps,
        seconds=outcome.seconds,
        summary=delivered.summary,
        failures=failures,
        warnings=(
            *(mixed.message for mixed in mixed_channels(cases.manifest)),
            *prepared.warnings,
            *delivered.warnings,
        ),
        notes=(*prepared.notes, *reached.notes(settings), *delivered.notes, *forecast_notes(outcome.last)),
        run_id=run.run_id if run else None,
        more_time=outcome.last.forecast.gain if outcome.last and outcome.last.forecast else None,
    )


def _listeners(
    folder: RunFolder, progress: Progress, run: TrackedRun | None
) -> list[CurvesListener | ProgressListener | TrackingListener]:
    """What hears the numbers of a training: its curves, whoever follows it, and MLflow."""
    tracking = [TrackingListener(run)] if run else []
    curves = CurvesListener(folder.curves, validations=folder.validation_curve)
    return [curves, ProgressListener(progress), *tracking]


def make_budget(
    settings: TrainingSettings,
    *,
    steps: int,
    steps_per_epoch: int,
    started: float,
    budget_s: float | None,
    used_s: float = 0.0,
) -> Budget:
    """Wall clock if it is asked for, else the asked epochs, else the plan's steps.

    Args:
        settings: Choices.
        steps: Steps of the plan's own length.
        steps_per_epoch: Steps in which every sample comes once.
        started: Reading of `time.monotonic()` at which a wall-clock budget begins.
        budget_s: Wall clock in seconds, if asked for.
        used_s: Seconds that the run had used before it was resumed.
    """
    if budget_s is not None:
        return ClockBudget(budget_s, started=started, used_s=used_s)
    return StepBudget(settings.epochs * steps_per_epoch if settings.epochs else steps, used_s=used_s)


def merge_failures(*groups: Sequence[Failure]) -> tuple[Failure, ...]:
    """Every failed case once, with its last reason."""
    return tuple({failure.case_id: failure for group in groups for failure in group}.values())


def _as_before(settings: TrainingSettings, folder: RunFolder, earlier: RunRecord) -> TrainingSettings:
    """The settings that the run began with; its length may be changed."""
    has_length = settings.budget is not None or settings.epochs is not None
    check_resumed_update(settings, folder)
    given, option = settings.initial or settings.update, "init" if settings.initial else "update"
    has_checkpoint = folder.checkpoint.exists()
    return replace(
        settings,
        fold=earlier.fold,
        cases=earlier.training,
        seed=earlier.seed,
        plan=folder.plan,
        changes={},
        budget=settings.budget if has_length else earlier.budget,
        epochs=settings.epochs if has_length else earlier.epochs,
        initial=resumed_initial(earlier.initial, given, has_checkpoint=has_checkpoint, option=option),
    )


@dataclass(frozen=True, slots=True)
class _Reached:
    """How far a run had come in its last checkpoint.

    Attributes:
        step: Steps done; 0 without a checkpoint.
        seconds: Seconds that they took of the budget.
    """

    step: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, folder: RunFolder) -> Self:
        """What the checkpoint of a run says."""
        if not folder.checkpoint.exists():
            return cls()
        facts = checkpoint_facts(folder.checkpoint)
        return cls(int(facts["step"]), float(facts["elapsed_s"]))

    def notes(self, settings: TrainingSettings) -> tuple[str, ...]:
        """What to say of a training that was continued."""
        if not self.step:
            return ()
        of_budget = f" of {parse_duration_s(settings.budget):.0f}" if settings.budget else ""
        return (f"continued after step {self.step:,}, when {self.seconds:.0f}{of_budget} s were used",)


def _earlier(folder: RunFolder, settings: TrainingSettings) -> RunRecord | None:
    """The record of a run to resume; None if there is nothing to resume yet, as where a run was killed early.

    Raises:
        CheckpointError: If the folder holds something else.
        ConfigError: If it holds several trainings.
    """
    if not settings.resume:
        return None
    if not folder.record.is_file() and folder.folds.is_file():
        fact = f"run {settings.out}: holds all folds, got fold {settings.fold}"
        raise ConfigError(fact, remedy="give the fold all-folds")
    if not folder.record.is_file() and folder.curve.is_file():
        fact = f"run {settings.out}: holds a learning curve, got a single training to resume"
        raise ConfigError(fact, remedy="resume the learning curve, or the training in one of its folders")
    if folder.is_before_record:
        folder.remove_leftovers()
        folder.remove_start()
        return None
    earlier = folder.load_record()
    folder.remove_leftovers()
    return earlier


def _is_described(earlier: RunRecord | None) -> bool:
    """Whether the MLflow run of an earlier part has parameters and datasets."""
    if earlier is None:
        return False
    return earlier.mlflow_run_id is not None if earlier.is_described is None else earlier.is_described


def _check_same_run(earlier: RunRecord | None, cases: TrainingCases, plan: AnyPlan, job: Job[AnyPlan, AnyTask]) -> None:
    """Hold a resumed run to its manifest, plan, labels and parts.

    Raises:
        CheckpointError: If one of them has changed.
    """
    if earlier is None:
        return
    if earlier.manifest_digest != manifest_digest(cases.manifest):
        raise CheckpointError(
            "resume: the manifest must be the one that the run began with, got another", remedy="start a new run"
        )
    if earlier.plan_digest != plan_digest(plan):
        raise CheckpointError(
            "resume: plan.yaml must be as the run began with it, got another", remedy="start a new run with that plan"
        )
    if earlier.labels_digest != job.labels_digest:
        raise CheckpointError(
            "resume: the file of labels must be the one that the run began with, got another", remedy="start a new run"
        )
    if earlier.own_parts != job.own_parts:
        raise CheckpointError(
            f"resume: your own parts must be those that the run began with ({', '.join(earlier.own_parts) or 'none'}), "
            f"got {', '.join(job.own_parts) or 'none'}",
            remedy="give the same parts again, or start a new run",
        )


def _start_run(
    job: Job[AnyPlan, AnyTask], settings: TrainingSettings, cases: TrainingCases, earlier: RunRecord | None
) -> TrackedRun | None:
    """The MLflow run of this training, or the one that it resumes; None without tracking."""
    if settings.tracking.is_on and earlier is not None and earlier.mlflow_run_id and earlier.tracking_uri:
        uri = settings.tracking.uri or earlier.tracking_uri
        try:
            run = resume_tracking(earlier.mlflow_run_id, uri=uri)
        except MissingRunError:
            return replacing(earlier.mlflow_run_id, _new_run(job, replace(settings.tracking, uri=uri), cases, settings))
        run.rename(renamed(run.origin.name, job.stage, settings, (earlier.budget, earlier.epochs)))
        return run
    return _new_run(job, settings.tracking, cases, settings)


def _new_run(
    job: Job[AnyPlan, AnyTask], tracking: Tracking, cases: TrainingCases, settings: TrainingSettings
) -> TrackedRun | None:
    tags = {"medseg.fold": settings.fold}
    name = run_name(job.stage, settings, job.named_choices)
    noted_in = RunFolder(settings.out)
    return start_tracking(tracking, cases.manifest, stage=job.stage, name=name, tags=tags, noted_in=noted_in)


def _record(
    settings: TrainingSettings,
    cases: TrainingCases,
    plan: AnyPlan,
    run: TrackedRun | None,
    earlier: RunRecord | None,
    job: Job[AnyPlan, AnyTask],
) -> RunRecord:
    """What a resume needs; a resume without tracking keeps the MLflow run that the training had."""
    return RunRecord(
        fold=settings.fold,
        seed=settings.seed,
        budget=settings.budget,
        epochs=settings.epochs,
        manifest_digest=manifest_digest(cases.manifest),
        plan_digest=plan_digest(plan),
        mlflow_run_id=run.run_id if run else earlier.mlflow_run_id if earlier else None,
        tracking_uri=without_password(run.tracking_uri) if run else earlier.tracking_uri if earlier else None,
        training=tuple(case.case_id for case in cases.training),
        validation=tuple(case.case_id for case in cases.validation),
        labels_digest=job.labels_digest,
        own_parts=job.own_parts,
        initial=earlier.initial if earlier else initial_weights(settings.initial),
        choices=earlier.choices if earlier else asked_choices(settings, job.named_choices),
        differs_from_default=(
            earlier.differs_from_default if earlier else differences_text(settings, job.named_choices)
        ),
        is_finished=False,
    )


def _describe(
    run: TrackedRun,
    job: Job[AnyPlan, AnyTask],
    settings: TrainingSettings,
    cases: TrainingCases,
    plan: AnyPlan,
    folder: RunFolder,
    prepared: Prepared[AnyTask],
    record: RunRecord,
    *,
    failures: Sequence[Failure],
) -> None:
    """Parameters, plan and dataset of the MLflow run."""
    run.log_tags({"medseg.plan_digest": plan_digest(plan), **prepared.tags})
    parameters = training_parameters(
        settings,
        job.readable(plan),
        job.named_choices,
        parameters=job.count_parameters(plan),
        failed=len(failures),
    )
    if record.differs_from_default is not None:  # the settings of a resumed run no longer say it
        parameters["differs_from_default"] = record.differs_from_default
    run.log_parameters({**parameters, **prepared.parameters})
    run.log_file(folder.plan)
    if folder.initialisation.is_file():
        run.log_file(folder.initialisation)
    log_cases(run, cases.manifest, training=cases.training, validation=cases.validation)
