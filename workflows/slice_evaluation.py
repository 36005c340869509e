"""The stages of `medseg classify evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
from medseg.errors import ConfigError, ManifestError
from medseg.inference.classification import SlicePredictor
from medseg.manifest import assign_folds, load_manifest, manifest_digest, split_fold
from medseg.preprocess.classification import prepare_slices
from medseg.preprocess.classification.table import read_target_table
from medseg.records import Case, Manifest, Split
from medseg.tracking import TrackedRun
from medseg.workflows.classifier_run import labelled, target_reader
from medseg.workflows.console import counting, empty_folder, report_failures
from medseg.workflows.options import torch_device, worker_count
from medseg.workflows.slice_results import deliver_scores, print_scores, track_scores


@dataclass(frozen=True, slots=True)
class EvaluationArguments:
    """The options of `medseg classify evaluate`; see its help."""

    run: Path
    dataset: Path
    folder: Path
    table_path: Path | None
    fold: int | None
    split: Split | None
    specificity: float
    store: Path
    data_root: Path | None
    device: str
    workers: int | None
    tracking_uri: str | None
    no_tracking: bool


def evaluate_classifier(arguments: EvaluationArguments) -> None:
    """Score the cases, write tables and pictures, and log them."""
    folder = empty_folder(arguments.folder)
    predictor = SlicePredictor.load(arguments.run, device=torch_device(arguments.device))
    manifest, root = load_manifest(arguments.dataset, data_root=arguments.data_root)
    cases = _cases(arguments, manifest)
    table = read_target_table(arguments.table_path) if arguments.table_path else None
    targets = predictor.card.targets
    table_name = arguments.table_path.name if arguments.table_path else ""
    if table is not None and targets.source != "csv":
        raise ConfigError(f"--labels: the classifier learned from {targets.source}; leave the CSV file out")
    if targets.source == "label" and set(targets.structures) - set(manifest.foreground):
        raise ManifestError(
            f"manifest {manifest.name}: labels must hold the classifier's {', '.join(targets.classes)}, got "
            f"{', '.join(manifest.foreground)}; evaluate on the dataset that it was made for"
        )
    if table is not None and table.classes != targets.classes:
        raise ManifestError(
            f"classes {table_name}: must be the classifier's {', '.join(targets.classes)}, got "
            f"{', '.join(table.classes)}; give the file in the form that it was trained on"
        )
    with counting(len(cases), "prepare") as on_done:
        prepared = prepare_slices(
            cases,
            manifest,
            root,
            config=predictor.card.slices,
            with_labels=targets.source == "label",
            store=arguments.store,
            workers=worker_count(arguments.workers),
            on_done=on_done,
        )
    known, truth, failures = labelled(prepared, cases, target_reader(targets, table, manifest))
    seen = _trained_on(predictor, manifest, {case.case_id for case in known})
    if seen:
        click.echo(
            f"warning: the classifier was trained on patients of {len(seen)} of these cases; their numbers flatter it",
            err=True,
        )
    fitted = sorted(set(predictor.card.calibration.calibrated_on) & {case.case_id for case in known})
    if fitted:
        click.echo(f"note: temperature and thresholds were fitted on {len(fitted)} of these cases", err=True)
    if not known:
        raise ManifestError(f"manifest {manifest.name}: no case could be evaluated; {failures[0].reason}")
    delivered = deliver_scores(
        predictor,
        known,
        truth,
        folder=folder,
        specificity=arguments.specificity,
        failures=failures,
        notes={"trained_on": seen, "calibrated_on": fitted},
    )
    print_scores(delivered.summary)
    if not arguments.no_tracking:
        run = _start_run(arguments, predictor, manifest)
        with run.recording(system_metrics=False):
            run.log_parameters({"fold": arguments.fold, "split": arguments.split, "cases": len(known)})
            facts = {"cases": len(known), "classes": list(targets.classes)}
            run.log_dataset(name=manifest.name, digest=manifest_digest(manifest), context="evaluation", facts=facts)
            track_scores(run, delivered)
    click.echo(f"tables and pictures in {folder}")
    report_failures(failures)


def _cases(arguments: EvaluationArguments, manifest: Manifest) -> tuple[Case, ...]:
    if arguments.fold is not None:
        _, cases = split_fold(assign_folds(manifest), arguments.fold)
    else:
        cases = manifest.select(arguments.split) if arguments.split else manifest.cases
    if not cases:
        raise ManifestError(f"manifest {manifest.name}: must have cases to evaluate, got none; choose another --split")
    return cases


def _trained_on(predictor: SlicePredictor, manifest: Manifest, evaluated: set[str]) -> list[str]:
    """Evaluated cases of patients on whom the classifier had been trained."""
    known = set(predictor.card.trained_on)
    patients = {case.patient_id for case in manifest.cases if case.case_id in known}
    return [case.case_id for case in manifest.cases if case.case_id in evaluated and case.patient_id in patients]


def _start_run(arguments: EvaluationArguments, predictor: SlicePredictor, manifest: Manifest) -> TrackedRun:
    tags = {
        "medseg.stage": "classify evaluate",
        "mlflow.source.name": "medseg classify evaluate",
        "medseg.manifest_digest": manifest_digest(manifest),
        "medseg.model_plan_digest": predictor.card.plan_digest,
    }
    what = f"fold {arguments.fold}" if arguments.fold is not None else arguments.split or "all"
    return TrackedRun.start(
        experiment=manifest.name, name=f"classify evaluate {what}", tracking_uri=arguments.tracking_uri, tags=tags
    )
