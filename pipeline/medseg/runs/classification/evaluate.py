"""A slice classifier measured on labelled cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from medseg.atomic import check_writable
from medseg.errors import ConfigError, ManifestError
from medseg.evaluation.classification import ClassificationSummary, scoped_scores
from medseg.inference.classification import SlicePredictor
from medseg.manifest import load_manifest, manifest_digest, require_no_quantities, select_cases
from medseg.preprocess.classification import prepare_slices
from medseg.preprocess.classification.table import TargetTable, read_target_table
from medseg.records import Failure, Manifest, Split
from medseg.runs.classification.labels import labelled, target_reader
from medseg.runs.classification.scores import DeliveredScores, deliver_scores, log_scores
from medseg.runs.describe import shortened
from medseg.runs.machine import DeviceName, threads, torch_device
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.seen import seen_in_training
from medseg.runs.tracking import (
    Tracking,
    cases_text,
    log_measured,
    model_tags,
    recorded,
    scope_of,
    send_earlier,
    start_tracking,
    unsent,
)
from medseg.targets import SliceClasses
from medseg.tracking import MeasuredModel, TrackedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """Choices of a classifier's evaluation.

    Attributes:
        out: Folder of the tables, new or empty.
        table: CSV file of classes, for a classifier trained on one.
        fold: Fold whose validation cases are measured.
        split: Split that is measured; all cases if neither is given.
        specificity: Specificity at which sensitivities are given.
        store: Folder of prepared cases.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        device: Device of the classifier.
        workers: Threads that read scans.
        tracking: MLflow store.
    """

    out: Path
    table: Path | None = None
    fold: int | None = None
    split: Split | None = None
    specificity: float = 0.95
    store: Path = Path("medseg_store")
    data_root: Path | None = None
    device: DeviceName = "auto"
    workers: int | None = None
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A measured classifier.

    Attributes:
        folder: Folder of the tables and pictures.
        summary: Numbers with intervals; its text is a table.
        failures: Cases that could not be measured, with the reasons.
        warnings: Sentences for the person who started the evaluation.
    """

    folder: Path
    summary: ClassificationSummary
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def evaluate_classifier(
    run: Path, dataset: Path, settings: ScoreSettings, *, progress: Progress | None = None
) -> ScoreResult:
    """Score every case, and write and log tables and pictures.

    Args:
        run: Folder of a classifier's training.
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the classifier or the dataset cannot be used, no case is left, or the output folder holds
            something.
    """
    folder = check_empty(settings.out)
    predictor = SlicePredictor.load(run, device=torch_device(settings.device))
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    require_no_quantities(manifest, "an evaluation of classes")
    cases = select_cases(manifest, fold=settings.fold, split=settings.split)
    table = read_target_table(settings.table) if settings.table else None
    targets = predictor.card.targets
    _check_targets(targets, manifest, table, name=settings.table.name if settings.table else "")
    check_writable(settings.store, option="store")
    sent = send_earlier(settings.out, settings.tracking)  # the classifier's training may be among it
    tracked = _start_run(settings, predictor, manifest)
    with recorded(tracked):
        with (progress or Silence()).over_cases(len(cases), "prepare") as on_done:
            prepared = prepare_slices(
                cases,
                manifest,
                root,
                config=predictor.card.slices,
                with_labels=targets.source == "label",
                store=settings.store,
                executor=threads(settings.workers),
                on_done=on_done,
            )
        known, truth, failures = labelled(prepared, cases, target_reader(targets, table, manifest))
        ids = {case.case_id for case in known}
        seen = seen_in_training(predictor.card.trained_on, manifest, ids)
        fitted = sorted(set(predictor.card.calibration.calibrated_on) & ids)
        if not known:
            raise ManifestError(f"manifest {manifest.name}: no case could be evaluated; {failures[0].reason}")
        delivered = deliver_scores(
            predictor,
            known,
            truth,
            folder=folder,
            specificity=settings.specificity,
            failures=failures,
            notes={"trained_on": seen, "calibrated_on": fitted},
        )
        warnings = []
        if seen:
            warnings.append(
                f"the classifier was trained on patients of {len(seen)} of these cases; their numbers flatter it"
            )
        if fitted:
            warnings.append(f"temperature and thresholds were fitted on {len(fitted)} of these cases")
        if tracked is not None:
            _log(tracked, settings, predictor, manifest, delivered)
    return ScoreResult(folder, delivered.summary, failures, (*warnings, *sent, *unsent(tracked, settings.out)))


def _check_targets(targets: SliceClasses, manifest: Manifest, table: TargetTable | None, *, name: str) -> None:
    """Hold dataset and table to the classes of the classifier."""
    if table is not None and targets.source != "csv":
        raise ConfigError(f"labels: the classifier learned from {targets.source}", remedy="leave the CSV file out")
    if targets.source == "label" and set(targets.structures) - set(manifest.regions or manifest.foreground):
        raise ManifestError(
            f"manifest {manifest.name}: labels must hold the classifier's {', '.join(targets.classes)}, got "
            f"{', '.join(manifest.regions or manifest.foreground)}",
            remedy="evaluate on the dataset that it was made for",
        )
    if table is not None and table.classes != targets.classes:
        raise ManifestError(
            f"classes {name}: must be the classifier's {', '.join(targets.classes)}, got {', '.join(table.classes)}",
            remedy="give the file in the form that it was trained on",
        )


def _start_run(settings: ScoreSettings, predictor: SlicePredictor, manifest: Manifest) -> TrackedRun | None:
    what = cases_text(settings.fold, settings.split)
    name = f"classify evaluate {settings.out.resolve().name}, {what}"
    card = predictor.card
    tags = model_tags(card.plan_digest, run_id=card.mlflow_run_id, weights_digest=predictor.weights_digest)
    return start_tracking(
        settings.tracking, manifest, stage="classify evaluate", name=name, tags=tags, parent=card.mlflow_run_id
    )


def _log(
    run: TrackedRun,
    settings: ScoreSettings,
    predictor: SlicePredictor,
    manifest: Manifest,
    delivered: DeliveredScores,
) -> None:
    run.begin(spool_of(settings.out))
    count = len(delivered.scores)
    run.log_parameters({"fold": settings.fold, "split": settings.split, "cases": count})
    facts = {"cases": count, "classes": list(predictor.card.targets.classes)}
    run.log_dataset(name=manifest.name, digest=manifest_digest(manifest), context="evaluation", facts=facts)
    measured = MeasuredModel(
        manifest.name,
        manifest_digest(manifest),
        "evaluation",
        run_id=predictor.card.mlflow_run_id or "",
        weights_digest=predictor.weights_digest,
    )
    values = scoped_scores(delivered.summary, scope_of(settings.fold, settings.split))
    log_measured(run, values, measured)
    run.describe(_description(manifest, delivered))
    log_scores(run, delivered)


def _description(manifest: Manifest, delivered: DeliveredScores) -> str:
    """What was measured and what came out, in Markdown."""
    parts = [
        f"Slice classifier on **{manifest.name}**, {len(delivered.scores)} cases.",
        f"```\n{shortened(str(delivered.summary))}\n```",
        "Every slice is in `slices.csv`, every study in `studies.csv`; pictures are in `pictures`.",
    ]
    return "\n\n".join(parts)
