"""The stages of `medseg train`, one function each."""

from __future__ import annotations

from contextlib import nullcontext

import click
from medseg import __version__
from medseg.configuration import read_yaml
from medseg.errors import ManifestError, TrainingError
from medseg.evaluation.segmentation import summarise, write_metrics, write_summary
from medseg.inference.segmentation import ModelCard, Predictor, save_card
from medseg.manifest import manifest_digest, manifest_target
from medseg.networks import count_parameters
from medseg.networks.segmentation import UNet
from medseg.planning import (
    Plan,
    check_mirroring,
    load_plan,
    make_plan,
    override_plan,
    plan_digest,
    save_plan,
    take_fingerprint,
)
from medseg.preprocess.segmentation import Prepared, prepare_cases
from medseg.records import Failure
from medseg.tracking import TrackedRun
from medseg.training import CurvesListener, TrackingListener, TrainingListener, parse_duration_s
from medseg.training.engine import CHECKPOINT_NAME
from medseg.training.segmentation import FitResult, SegmentationInputs, fit, steps_per_epoch
from medseg.workflows.console import advancing, counting, print_summary, report_failures
from medseg.workflows.options import torch_device, worker_count
from medseg.workflows.results import save_overlays, track_results
from medseg.workflows.run_record import save_run_record
from medseg.workflows.run_stages import (
    Cohort,
    RunArguments,
    check_same_run,
    load_cohort,
    log_cohort,
    make_budget,
    make_run_record,
    merge_failures,
    start_run,
    with_earlier,
)


def train(arguments: RunArguments, *, started: float) -> None:
    """Run every stage, and say where things went."""
    arguments, earlier = with_earlier(arguments)
    budget_s = parse_duration_s(arguments.budget) if arguments.budget else None
    device = torch_device(arguments.device)
    cohort = load_cohort(arguments)
    if cohort.manifest.task != "segmentation":
        raise ManifestError(f"manifest {cohort.manifest.name}: task must be segmentation, got {cohort.manifest.task}")
    plan, failures = _plan(arguments, cohort, device.type)
    check_same_run(earlier, cohort, plan)
    training, validation = _prepare(arguments, cohort, plan)
    failures = merge_failures(failures, training.failures, validation.failures)
    card = _card(cohort, plan, training)
    budget = make_budget(
        arguments,
        epochs=plan.training.epochs,
        steps_per_epoch=steps_per_epoch(len(training.cases), plan.training),
        started=started,
        budget_s=budget_s,
    )
    inputs = SegmentationInputs(
        training.cases,
        validation.cases,
        card.target,
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
    run = start_run(arguments, cohort, plan, earlier)
    save_plan(plan, arguments.folder / "plan.yaml")
    save_card(card, arguments.folder / "model")
    save_run_record(make_run_record(arguments, cohort, plan, run, earlier), arguments.folder)
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


def _plan(arguments: RunArguments, cohort: Cohort, device: str) -> tuple[Plan, tuple[Failure, ...]]:
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
    channels, classes = len(cohort.manifest.channels), manifest_target(cohort.manifest).channels
    if (plan.network.in_channels, plan.network.out_channels) != (channels, classes):
        raise ManifestError(
            f"plan: network must have {channels} input channels and {classes} classes as the "
            f"manifest, got {plan.network.in_channels} and {plan.network.out_channels}; plan again"
        )
    return plan, failures


def _prepare(arguments: RunArguments, cohort: Cohort, plan: Plan) -> tuple[Prepared, Prepared]:
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


def _describe(
    run: TrackedRun, arguments: RunArguments, cohort: Cohort, plan: Plan, failures: tuple[Failure, ...]
) -> None:
    """Parameters, plan and dataset of the run."""
    settings = plan.model_dump(mode="json", exclude={"reasons", "dataset"})
    extra = {"fold": arguments.fold, "budget": arguments.budget or f"{arguments.epochs or plan.training.epochs} epochs"}
    run.log_parameters(
        {**settings, **extra, "parameters": count_parameters(UNet(plan.network)), "failed_cases": len(failures)}
    )
    run.log_file(arguments.folder / "plan.yaml")
    log_cohort(run, cohort)


def _deliver(
    run: TrackedRun | None,
    arguments: RunArguments,
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
