"""The stages of `medseg train`, one function each."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import click

from pipeline import __version__
from pipeline.configuration import read_yaml
from pipeline.errors import CheckpointError, ManifestError, TrainingError
from pipeline.evaluation import summarise, write_metrics, write_summary
from pipeline.inference import ModelCard, Predictor, save_card
from pipeline.manifest import assign_folds, load_manifest, manifest_digest, split_fold
from pipeline.networks import UNet, count_parameters
from pipeline.planning import (
    Plan,
    check_mirroring,
    load_plan,
    make_plan,
    override_plan,
    plan_digest,
    save_plan,
    take_fingerprint,
)
from pipeline.preprocess import Prepared, prepare_cases
from pipeline.records import Case, Failure, Manifest
from pipeline.tracking import TrackedRun
from pipeline.training import (
    Budget,
    ClockBudget,
    CurvesListener,
    FitInputs,
    FitResult,
    StepBudget,
    TrackingListener,
    TrainingListener,
    fit,
    parse_duration_s,
    steps_per_epoch,
)
from pipeline.training.checkpoint import checkpoint_facts
from pipeline.training.engine import CHECKPOINT_NAME
from workflows.console import advancing, counting, empty_folder, print_summary, report_failures
from workflows.options import torch_device, worker_count
from workflows.results import save_overlays, track_results
from workflows.run_record import RunRecord, load_run_record, save_run_record


@dataclass(frozen=True, slots=True)
class TrainArguments:
    """The options of `medseg train`; see its help."""

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


@dataclass(frozen=True, slots=True)
class Cohort:
    """The cases of the fold."""

    manifest: Manifest
    root: Path
    training: tuple[Case, ...]
    validation: tuple[Case, ...]


def train(arguments: TrainArguments, *, started: float) -> None:
    """Run every stage, and say where things went."""
    arguments, earlier = _with_earlier(arguments)
    budget_s = parse_duration_s(arguments.budget) if arguments.budget else None
    device = torch_device(arguments.device)
    cohort = _load_cohort(arguments)
    plan, failures = _plan(arguments, cohort, device.type)
    _check_same_run(earlier, cohort, plan)
    training, validation = _prepare(arguments, cohort, plan)
    failures = _merge_failures(failures, training.failures, validation.failures)
    card = _card(cohort, plan, training)
    budget = _budget(arguments, plan, len(training.cases), started=started, budget_s=budget_s)
    inputs = FitInputs(
        training.cases,
        validation.cases,
        cohort.manifest.labels,
        plan.network,
        plan.training,
        plan.inference,
        device,
        arguments.folder,
    )
    if not training.cases:
        raise TrainingError(
            f"manifest {cohort.manifest.name}: no training case could be prepared; {failures[0].reason}"
        )
    run = None if arguments.no_tracking else _start_run(arguments, cohort, plan, earlier)
    save_plan(plan, arguments.folder / "plan.yaml")
    save_card(card, arguments.folder / "model")
    save_run_record(_run_record(arguments, cohort, plan, run, earlier), arguments.folder)
    is_new = earlier is None or earlier.mlflow_run_id is None
    with run.recording() if run else nullcontext():
        if run is not None and is_new:
            _describe(run, arguments, cohort, plan, failures)
        listeners: list[TrainingListener] = [CurvesListener(arguments.folder / "curves.csv")]
        listeners += [TrackingListener(run)] if run else []
        with advancing("train") as on_step:
            resume = arguments.resume and (arguments.folder / CHECKPOINT_NAME).exists()
            result = fit(inputs, budget, listeners=listeners, on_step=on_step, resume=resume)
        _deliver(run, arguments, cohort, result, failures)
    click.echo(
        f"{result.steps} steps in {result.seconds:.0f} s; model in {arguments.folder / 'model'}, "
        f"plan, curves and pictures in {arguments.folder}"
    )
    report_failures(failures)


def _with_earlier(arguments: TrainArguments) -> tuple[TrainArguments, RunRecord | None]:
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


def _check_same_run(earlier: RunRecord | None, cohort: Cohort, plan: Plan) -> None:
    if earlier is not None and earlier.manifest_digest != manifest_digest(cohort.manifest):
        raise CheckpointError(
            "resume: the manifest must be the one that the run began with, got another; start a new run"
        )
    if earlier is not None and earlier.plan_digest != plan_digest(plan):
        raise CheckpointError(
            "resume: plan.yaml must be as the run began with it, got another; start a new run with --plan"
        )


def _load_cohort(arguments: TrainArguments) -> Cohort:
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    if manifest.task != "segmentation":
        raise ManifestError(f"manifest {manifest.name}: task must be segmentation, got {manifest.task}")
    if arguments.fold == "all":
        return Cohort(manifest, root, manifest.select("training"), ())
    if not (arguments.fold.isascii() and arguments.fold.isdigit()):
        raise click.UsageError(f"--fold must be a number or 'all', got {arguments.fold!r}")
    manifest = assign_folds(manifest)
    return Cohort(manifest, root, *split_fold(manifest, int(arguments.fold)))


def _plan(arguments: TrainArguments, cohort: Cohort, device: str) -> tuple[Plan, tuple[Failure, ...]]:
    failures: tuple[Failure, ...] = ()
    if arguments.plan_path is not None:
        plan = load_plan(arguments.plan_path)
    else:
        with counting(len(cohort.training), "plan") as on_done:
            fingerprint = take_fingerprint(
                cohort.training, cohort.manifest, cohort.root, workers=worker_count(arguments.workers), on_done=on_done
            )
        failures = fingerprint.failures
        plan = make_plan(fingerprint, cohort.manifest, device="cuda" if device == "cuda" else "cpu")
    if arguments.config_path is not None:
        plan = override_plan(plan, read_yaml(arguments.config_path), source=f"settings {arguments.config_path.name}")
    if arguments.seed is not None:
        plan = override_plan(plan, {"training": {"seed": arguments.seed}}, source="--seed")
    check_mirroring(plan, cohort.manifest)
    if plan.network.out_channels != len(cohort.manifest.labels) or plan.network.in_channels != len(
        cohort.manifest.channels
    ):
        raise ManifestError(
            f"plan: network must have {len(cohort.manifest.channels)} input channels and {len(cohort.manifest.labels)} "
            f"classes as the manifest, got {plan.network.in_channels} and {plan.network.out_channels}; plan again"
        )
    return plan, failures


def _prepare(arguments: TrainArguments, cohort: Cohort, plan: Plan) -> tuple[Prepared, Prepared]:
    prepared = []
    with counting(len(cohort.training) + len(cohort.validation), "prepare") as on_done:
        for cases in (cohort.training, cohort.validation):
            prepared.append(
                prepare_cases(
                    cases,
                    cohort.manifest,
                    cohort.root,
                    config=plan.preprocess,
                    store=arguments.store,
                    workers=worker_count(arguments.workers),
                    on_done=on_done,
                )
            )
    return prepared[0], prepared[1]


def _merge_failures(*groups: tuple[Failure, ...]) -> tuple[Failure, ...]:
    """Every failed case once."""
    return tuple({failure.case_id: failure for group in groups for failure in group}.values())


def _card(cohort: Cohort, plan: Plan, training: Prepared) -> ModelCard:
    return ModelCard(
        medseg_version=__version__,
        dataset=f"{cohort.manifest.name} {cohort.manifest.version}",
        channels=cohort.manifest.channels,
        labels=cohort.manifest.labels,
        network=plan.network,
        preprocess=plan.preprocess,
        inference=plan.inference,
        trained_on=tuple(case.case_id for case in training.cases),
        manifest_digest=manifest_digest(cohort.manifest),
        plan_digest=plan_digest(plan),
    )


def _budget(arguments: TrainArguments, plan: Plan, cases: int, *, started: float, budget_s: float | None) -> Budget:
    checkpoint = arguments.folder / CHECKPOINT_NAME
    used_s = float(checkpoint_facts(checkpoint)["elapsed_s"]) if arguments.resume and checkpoint.exists() else 0.0
    if budget_s is not None:
        return ClockBudget(budget_s, started=started, used_s=used_s)
    return StepBudget((arguments.epochs or plan.training.epochs) * steps_per_epoch(cases, plan.training), used_s=used_s)


def _start_run(arguments: TrainArguments, cohort: Cohort, plan: Plan, earlier: RunRecord | None) -> TrackedRun:
    if earlier is not None and earlier.mlflow_run_id and earlier.tracking_uri:
        return TrackedRun.resume(earlier.mlflow_run_id, tracking_uri=arguments.tracking_uri or earlier.tracking_uri)
    tags = {
        "medseg.version": __version__,
        "medseg.stage": "train",
        "mlflow.source.name": "medseg train",
        "medseg.fold": arguments.fold,
        "medseg.manifest_digest": manifest_digest(cohort.manifest),
        "medseg.plan_digest": plan_digest(plan),
    }
    return TrackedRun.start(
        experiment=cohort.manifest.name,
        name=f"train fold {arguments.fold}",
        tracking_uri=arguments.tracking_uri,
        tags=tags,
    )


def _run_record(
    arguments: TrainArguments, cohort: Cohort, plan: Plan, run: TrackedRun | None, earlier: RunRecord | None
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


def _describe(
    run: TrackedRun, arguments: TrainArguments, cohort: Cohort, plan: Plan, failures: tuple[Failure, ...]
) -> None:
    """Parameters, plan and dataset of the run."""
    settings = plan.model_dump(mode="json", exclude={"reasons", "dataset"})
    extra = {"fold": arguments.fold, "budget": arguments.budget or f"{arguments.epochs or plan.training.epochs} epochs"}
    run.log_parameters(
        {**settings, **extra, "parameters": count_parameters(UNet(plan.network)), "failed_cases": len(failures)}
    )
    run.log_file(arguments.folder / "plan.yaml")
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


def _deliver(
    run: TrackedRun | None,
    arguments: TrainArguments,
    cohort: Cohort,
    result: FitResult,
    failures: tuple[Failure, ...],
) -> None:
    """Validation tables, pictures and the model."""
    folder = arguments.folder
    summary = summarise(result.rows, patients={case.case_id: case.patient_id for case in cohort.validation})
    if result.rows:
        write_metrics(result.rows, folder / "validation.csv")
    write_summary(
        summary,
        folder / "validation.json",
        failures=failures,
        notes={"best_mean_dice_of_any_validation": result.best_dice},
    )
    files = [folder / "validation.json", *([folder / "validation.csv"] if result.rows else [])]
    predictor = Predictor.load(folder / "model", device=torch_device(arguments.device))
    pictures = save_overlays(
        result.rows,
        cohort.validation,
        cohort.manifest,
        cohort.root,
        folder=folder / "overlays",
        mask_of=lambda case_id, scan: predictor.mask(scan),
    )
    print_summary(summary)
    if run is not None:
        track_results(run, result.rows, files=files, pictures=pictures, table="validation_cases.json")
        run.log_model(folder / "model", version=__version__)
