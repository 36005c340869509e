"""What every training command does alike: the fold's cases, the budget, the run's record and its MLflow run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click
from medseg import __version__
from medseg.errors import CheckpointError
from medseg.manifest import assign_folds, load_manifest, manifest_digest, split_fold
from medseg.planning.plan import PlanFile, plan_digest
from medseg.records import Case, Failure, Manifest
from medseg.tracking import TrackedRun
from medseg.training import Budget, ClockBudget, StepBudget
from medseg.training.checkpoint import checkpoint_facts
from medseg.training.engine import CHECKPOINT_NAME
from medseg.workflows.console import empty_folder
from medseg.workflows.run_record import RunRecord, load_run_record


@dataclass(frozen=True, slots=True)
class RunArguments:
    """The options that every training command has; see its help."""

    dataset: Path
    folder: Path
    fold: str
    budget: str | None
    epochs: int | None
    plan_path: Path | None
    config_path: Path | None
    seed: int | None
    resume: bool
    store: Path
    data_root: Path | None
    device: str
    workers: int | None
    tracking_uri: str | None
    no_tracking: bool


AnyArguments = TypeVar("AnyArguments", bound=RunArguments)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The cases of the fold."""

    manifest: Manifest
    root: Path
    training: tuple[Case, ...]
    validation: tuple[Case, ...]


def with_earlier(arguments: AnyArguments) -> tuple[AnyArguments, RunRecord | None]:
    """With `--resume`, the options of the run that is gone on with."""
    if not arguments.resume:
        empty_folder(arguments.folder)
        return arguments, None
    earlier = load_run_record(arguments.folder)
    has_length = arguments.budget or arguments.epochs
    resumed = replace(
        arguments,
        fold=earlier.fold,
        seed=earlier.seed,
        plan_path=arguments.folder / "plan.yaml",
        config_path=None,
        budget=arguments.budget if has_length else earlier.budget,
        epochs=arguments.epochs if has_length else earlier.epochs,
    )
    return resumed, earlier


def check_same_run(earlier: RunRecord | None, cohort: Cohort, plan: PlanFile) -> None:
    """Hold a resumed run to its manifest and plan.

    Raises:
        CheckpointError: If either is another.
    """
    if earlier is not None and earlier.manifest_digest != manifest_digest(cohort.manifest):
        raise CheckpointError(
            "resume: the manifest must be the one that the run began with, got another; start a new run"
        )
    if earlier is not None and earlier.plan_digest != plan_digest(plan):
        raise CheckpointError(
            "resume: plan.yaml must be as the run began with it, got another; start a new run with --plan"
        )


def load_cohort(arguments: RunArguments) -> Cohort:
    """The manifest, and the cases of the fold."""
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    if arguments.fold == "all":
        return Cohort(manifest, root, manifest.select("training"), ())
    if not (arguments.fold.isascii() and arguments.fold.isdigit()):
        raise click.UsageError(f"--fold must be a number or 'all', got {arguments.fold!r}")
    manifest = assign_folds(manifest)
    return Cohort(manifest, root, *split_fold(manifest, int(arguments.fold)))


def merge_failures(*groups: Sequence[Failure]) -> tuple[Failure, ...]:
    """Every failed case once."""
    return tuple({failure.case_id: failure for group in groups for failure in group}.values())


def make_budget(
    arguments: RunArguments, *, epochs: int, steps_per_epoch: int, started: float, budget_s: float | None
) -> Budget:
    """Wall clock if it is given, else the epochs asked for or planned; a resumed run has used some."""
    checkpoint = arguments.folder / CHECKPOINT_NAME
    used_s = float(checkpoint_facts(checkpoint)["elapsed_s"]) if arguments.resume and checkpoint.exists() else 0.0
    if budget_s is not None:
        return ClockBudget(budget_s, started=started, used_s=used_s)
    return StepBudget((arguments.epochs or epochs) * steps_per_epoch, used_s=used_s)


def start_run(arguments: RunArguments, cohort: Cohort, plan: PlanFile, earlier: RunRecord | None) -> TrackedRun | None:
    """The MLflow run of this training, or that which it resumes; None without tracking."""
    if arguments.no_tracking:
        return None
    if earlier is not None and earlier.mlflow_run_id and earlier.tracking_uri:
        return TrackedRun.resume(earlier.mlflow_run_id, tracking_uri=arguments.tracking_uri or earlier.tracking_uri)
    tags = {
        "medseg.version": __version__,
        "medseg.stage": plan.verb,
        "mlflow.source.name": f"medseg {plan.verb}",
        "medseg.fold": arguments.fold,
        "medseg.manifest_digest": manifest_digest(cohort.manifest),
        "medseg.plan_digest": plan_digest(plan),
    }
    return TrackedRun.start(
        experiment=cohort.manifest.name,
        name=f"{plan.verb} fold {arguments.fold}",
        tracking_uri=arguments.tracking_uri,
        tags=tags,
    )


def make_run_record(
    arguments: RunArguments, cohort: Cohort, plan: PlanFile, run: TrackedRun | None, earlier: RunRecord | None
) -> RunRecord:
    """What `--resume` needs; a resume without tracking keeps the MLflow run it had."""
    return RunRecord(
        fold=arguments.fold,
        seed=arguments.seed,
        budget=arguments.budget,
        epochs=arguments.epochs,
        manifest_digest=manifest_digest(cohort.manifest),
        plan_digest=plan_digest(plan),
        mlflow_run_id=run.run_id if run else earlier.mlflow_run_id if earlier else None,
        tracking_uri=run.tracking_uri if run else earlier.tracking_uri if earlier else None,
        training=tuple(case.case_id for case in cohort.training),
        validation=tuple(case.case_id for case in cohort.validation),
    )


def log_cohort(run: TrackedRun, cohort: Cohort) -> None:
    """Say which cases and patients a run trained on and was judged by."""
    for context, cases in (("training", cohort.training), ("validation", cohort.validation)):
        facts = {
            "cases": len(cases),
            "patients": len({case.patient_id for case in cases}),
            "labels": cohort.manifest.labels,
        }
        if cases:
            run.log_dataset(
                name=cohort.manifest.name, digest=manifest_digest(cohort.manifest), context=context, facts=facts
            )
