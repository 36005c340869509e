"""The stages of `medseg classify train`, one function each."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from medseg import __version__
from medseg.configuration import read_yaml
from medseg.errors import CheckpointError, ConfigError, ManifestError, TrainingError
from medseg.evaluation.classification.calibration import HOTTEST
from medseg.inference.classification import ClassifierCard, SlicePredictor, save_classifier_card
from medseg.inference.classification.card import CLASSIFIER_NAME
from medseg.inference.segmentation import load_card
from medseg.inference.weights import read_weights
from medseg.manifest import manifest_digest
from medseg.networks import count_parameters
from medseg.networks.classification import (
    ClassifierConfig,
    SliceClassifier,
    encoder_classifier,
    load_imagenet,
    load_unet_encoder,
)
from medseg.planning import (
    SliceChoices,
    SlicePlan,
    load_plan_of,
    make_slice_plan,
    override_plan,
    plan_digest,
    save_plan,
    take_fingerprint,
)
from medseg.preprocess.classification import PreparedSlices, SliceConfig, StoredSlices, prepare_slices
from medseg.preprocess.classification.table import TargetTable, read_target_table
from medseg.preprocess.classification.targets import (
    LabelTargets,
    ManifestTargets,
    SliceTargets,
    TargetReader,
    read_targets,
)
from medseg.records import Case, Failure, Manifest
from medseg.targets import BACKGROUND, SliceClasses
from medseg.tracking import TrackedRun
from medseg.training import CurvesListener, TrackingListener, TrainingListener, parse_duration_s
from medseg.training.classification import ClassificationInputs, ClassificationTask, calibrate
from medseg.training.engine import CHECKPOINT_NAME, Outcome, run_task
from medseg.workflows.console import advancing, counting, report_failures
from medseg.workflows.options import torch_device, worker_count
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
from medseg.workflows.slice_results import deliver_scores, print_scores, track_scores

_PLANE_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierArguments(RunArguments):
    """The options of `medseg classify train`; see its help."""

    plane: str
    context: int
    labels: str
    min_area_mm2: float
    kind: str | None
    classes: str | None
    pooling: str | None
    architecture: str
    initial: Path | None


@dataclass(frozen=True, slots=True)
class LabelledSlices:
    """Prepared cases of the fold with a known truth."""

    training: tuple[StoredSlices, ...]
    validation: tuple[StoredSlices, ...]
    truth: dict[str, SliceTargets]
    failures: tuple[Failure, ...]


def train_classifier(arguments: ClassifierArguments, *, started: float) -> None:
    """Run every stage, and say where things went."""
    arguments, earlier = with_earlier(arguments)
    budget_s = parse_duration_s(arguments.budget) if arguments.budget else None
    device = torch_device(arguments.device)
    cohort = load_cohort(arguments)
    table = _table(arguments)
    plan, failures = plan_classifier(arguments, cohort, table, device.type)
    check_same_run(earlier, cohort, plan)
    labels_digest = _labels_digest(arguments)
    if earlier is not None and earlier.labels_digest != labels_digest:
        raise CheckpointError("resume: --labels must be the file that the run began with, got another; start a new run")
    slices = prepare_labelled(arguments, cohort, plan, table)
    failures = merge_failures(failures, slices.failures)
    if not slices.training:
        raise TrainingError(
            f"manifest {cohort.manifest.name}: no training case could be prepared; {failures[0].reason}"
        )
    task = ClassificationTask(_inputs(arguments, plan, slices, device))
    budget = make_budget(
        arguments,
        epochs=plan.training.epochs,
        steps_per_epoch=task.steps_per_epoch,
        started=started,
        budget_s=budget_s,
    )
    run = start_run(arguments, cohort, plan, earlier)
    save_plan(plan, arguments.folder / "plan.yaml")
    card = _card(cohort, plan, slices, task)
    if not (arguments.resume and (arguments.folder / "model" / CLASSIFIER_NAME).exists()):
        save_classifier_card(card, arguments.folder / "model")
    record = make_run_record(arguments, cohort, plan, run, earlier).model_copy(update={"labels_digest": labels_digest})
    save_run_record(record, arguments.folder)
    is_new = earlier is None or earlier.mlflow_run_id is None
    with run.recording() if run else nullcontext():
        if run is not None and is_new:
            _describe(run, arguments, cohort, plan, failures)
        listeners: list[TrainingListener] = [CurvesListener(arguments.folder / "curves.csv")]
        listeners += [TrackingListener(run)] if run else []
        with advancing("train") as on_step:
            resume = arguments.resume and (arguments.folder / CHECKPOINT_NAME).exists()
            outcome = run_task(task, budget, listeners=listeners, on_step=on_step, resume=resume)
        _deliver(run, arguments, card, task, outcome, failures)
    click.echo(
        f"{outcome.steps} steps in {outcome.seconds:.0f} s; classifier in {arguments.folder / 'model'}, "
        f"plan, curves and pictures in {arguments.folder}"
    )
    report_failures(failures)


def target_reader(config: SliceClasses, table: TargetTable | None, manifest: Manifest) -> TargetReader:
    """Where the truth comes from.

    Raises:
        ConfigError: If it is a CSV file that is not given.
    """
    if table is not None:
        return table
    if config.source == "csv":
        raise ConfigError("labels: the classes were learned from a CSV file; give it with --labels")
    if config.source == "label":
        return LabelTargets(config)
    return ManifestTargets(config, known=tuple(manifest.foreground))


def labelled(
    prepared: PreparedSlices, cases: Sequence[Case], reader: TargetReader
) -> tuple[tuple[StoredSlices, ...], dict[str, SliceTargets], tuple[Failure, ...]]:
    """The prepared cases whose truth is known, that truth, and all failures."""
    truth, missing = read_targets(reader, prepared.cases, cases)
    known = tuple(case for case in prepared.cases if case.case_id in truth)
    lost = tuple(Failure(case_id, "labels", reason) for case_id, reason in missing.items())
    return known, truth, (*prepared.failures, *lost)


def prepare_labelled(
    arguments: RunArguments, cohort: Cohort, plan: SlicePlan, table: TargetTable | None
) -> LabelledSlices:
    """Cut the fold's cases into slices, with the truth of each."""
    reader = target_reader(plan.targets, table, cohort.manifest)
    parts = []
    with counting(len(cohort.training) + len(cohort.validation), "prepare") as on_done:
        for cases in (cohort.training, cohort.validation):
            prepared = prepare_slices(
                cases,
                cohort.manifest,
                cohort.root,
                config=plan.slices,
                with_labels=plan.targets.source == "label",
                store=arguments.store,
                workers=worker_count(arguments.workers),
                on_done=on_done,
            )
            parts.append(labelled(prepared, cases, reader))
    (training, truth, failures), (validation, more_truth, more_failures) = parts
    return LabelledSlices(training, validation, truth | more_truth, merge_failures(failures, more_failures))


def _labels_digest(arguments: ClassifierArguments) -> str | None:
    path = Path(arguments.labels)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _table(arguments: ClassifierArguments) -> TargetTable | None:
    if arguments.labels in ("label", "slice_labels"):
        return None
    path = Path(arguments.labels)
    if not path.is_file():
        raise click.UsageError(f"--labels must be 'label', 'slice_labels' or a CSV file, got {arguments.labels!r}")
    return read_target_table(path)


def plan_classifier(
    arguments: ClassifierArguments, cohort: Cohort, table: TargetTable | None, device: str
) -> tuple[SlicePlan, tuple[Failure, ...]]:
    """The plan that is given, or one made from the training cases, with the changes asked for."""
    failures: tuple[Failure, ...] = ()
    if arguments.plan_path is not None:
        plan = load_plan_of(SlicePlan, arguments.plan_path)
    else:
        choices = _choices(arguments, cohort, table)
        with_labels = choices.targets.source == "label"
        manifest = cohort.manifest.model_copy(update={"allow_empty_labels": True})
        with counting(len(cohort.training), "plan") as on_done:
            fingerprint = take_fingerprint(
                cohort.training,
                manifest,
                cohort.root,
                with_labels=with_labels,
                workers=worker_count(arguments.workers),
                on_done=on_done,
            )
        failures = fingerprint.failures
        plan = make_slice_plan(fingerprint, manifest, choices, device="cuda" if device == "cuda" else "cpu")
        if arguments.initial is not None:
            plan = _initial_plan(plan, arguments.initial)
    if table is not None and table.classes != plan.targets.classes:
        raise ManifestError(
            f"classes: the CSV file must have the plan's {', '.join(plan.targets.classes)} in that order, got "
            f"{', '.join(table.classes)}; reorder its columns, or plan again"
        )
    if arguments.config_path is not None:
        plan = override_plan(plan, read_yaml(arguments.config_path), source=f"settings {arguments.config_path.name}")
    if arguments.seed is not None:
        plan = override_plan(plan, {"training": {"seed": arguments.seed}}, source="--seed")
    if len(plan.slices.normalisation) != len(cohort.manifest.channels):
        raise ManifestError(
            f"plan: slices must have the manifest's {len(cohort.manifest.channels)} image channels, got "
            f"{len(plan.slices.normalisation)}; plan again"
        )
    return plan, failures


def _choices(arguments: ClassifierArguments, cohort: Cohort, table: TargetTable | None) -> SliceChoices:
    source = "csv" if table else arguments.labels
    kind = arguments.kind or (table.kind if table else "multilabel")
    pooling = arguments.pooling or ("max" if table and not table.has_slices else "none")
    if table and not table.has_slices and pooling == "none":
        raise click.UsageError("--labels has no column slice, so that studies are labelled; choose a --pooling")
    if table and (kind != table.kind or arguments.classes):
        raise click.UsageError("--kind and --classes are those of the CSV file; leave them out")
    if arguments.min_area_mm2 and source != "label":
        raise click.UsageError("--min-area is of label volumes; leave it out")
    if kind == "multiclass" and pooling != "none" and not table:
        raise click.UsageError("--kind multiclass is of slices; a study shows several labels: choose multilabel")
    return SliceChoices.model_validate(
        {
            "plane": arguments.plane,
            "context": arguments.context,
            "architecture": arguments.architecture,
            "pooling": pooling,
            "targets": {
                "source": source,
                "kind": kind,
                "classes": table.classes if table else _classes(arguments, cohort, kind),
                "min_area_mm2": arguments.min_area_mm2,
            },
        }
    )


def _classes(arguments: ClassifierArguments, cohort: Cohort, kind: str) -> tuple[str, ...]:
    known = tuple(cohort.manifest.foreground)
    asked = known
    if arguments.classes:
        is_one = arguments.classes in known  # a name may have a comma
        asked = (arguments.classes,) if is_one else tuple(name.strip() for name in arguments.classes.split(","))
    unknown = sorted(set(asked) - set(known))
    if unknown or len(set(asked)) < len(asked):
        raise click.UsageError(f"--classes must be different ones of {', '.join(known)}, got {arguments.classes}")
    return (BACKGROUND, *asked) if kind == "multiclass" else asked


def _initial_plan(plan: SlicePlan, path: Path) -> SlicePlan:
    """The shape that weights from elsewhere fit: the published one, or the encoder of a segmentation run."""
    if path.is_dir():
        return _encoder_plan(plan, path)
    width = ClassifierConfig.model_fields["width"].default
    return override_plan(plan, {"network": {"width": width}}, source=f"--init {path.name}")


def _encoder_plan(plan: SlicePlan, run: Path) -> SlicePlan:
    """The encoder of a segmentation run as the classifier, on pictures in the pixels that it knows."""
    card = load_card(run / "model" if (run / "model").is_dir() else run)
    slices = 2 * plan.slices.context + 1
    network = encoder_classifier(
        card.network,
        out_channels=plan.targets.channels,
        slices=slices,
        pooling=plan.network.pooling,
        slice_axis=_PLANE_AXIS[plan.slices.plane],
    )
    changes: dict[str, Any] = {"network": network.model_dump(mode="json")}
    changes["slices"] = {"normalisation": [one.model_dump(mode="json") for one in card.preprocess.normalisation]}
    if card.preprocess.spacing_mm is not None:
        along = _PLANE_AXIS[plan.slices.plane]
        in_plane = [mm for axis, mm in enumerate(card.preprocess.spacing_mm) if axis != along]
        changes["slices"] |= _respaced(plan.slices, max(in_plane))
    return override_plan(plan, changes, source=f"--init {run.name}")


def _respaced(slices: SliceConfig, pixel_mm: float) -> dict[str, Any]:
    """The same extent in other pixels, in multiples of 16."""
    sides = [side * slices.pixel_mm / pixel_mm for side in slices.size]
    return {"pixel_mm": pixel_mm, "size": [max(32, math.ceil(side / 16 - 1e-6) * 16) for side in sides]}


def _inputs(
    arguments: ClassifierArguments, plan: SlicePlan, slices: LabelledSlices, device: torch.device
) -> ClassificationInputs:
    return ClassificationInputs(
        training=slices.training,
        validation=slices.validation,
        truth=slices.truth,
        targets=plan.targets,
        slices=plan.slices,
        network=plan.network,
        config=plan.training,
        device=device,
        folder=arguments.folder,
        initialise=_initialiser(arguments, plan),
    )


def _initialiser(arguments: ClassifierArguments, plan: SlicePlan) -> Callable[[SliceClassifier], None] | None:
    """What loads the weights to begin with."""
    path = arguments.initial
    if path is None or arguments.resume:
        return None
    if not path.is_dir():
        return lambda network: load_imagenet(network, path)
    folder = path / "model" if (path / "model").is_dir() else path
    weights = read_weights(folder / "last.safetensors")
    axis = _PLANE_AXIS[plan.slices.plane]
    return lambda network: load_unet_encoder(network, weights, slice_axis=axis)


def _card(cohort: Cohort, plan: SlicePlan, slices: LabelledSlices, task: ClassificationTask) -> ClassifierCard:
    return ClassifierCard(
        medseg_version=__version__,
        dataset=f"{cohort.manifest.name} {cohort.manifest.version}",
        channels=cohort.manifest.channels,
        slices=plan.slices,
        targets=plan.targets,
        network=plan.network,
        shift=tuple(float(value) for value in task.shift),
        trained_on=tuple(case.case_id for case in slices.training),
        manifest_digest=manifest_digest(cohort.manifest),
        plan_digest=plan_digest(plan),
    )


def _describe(
    run: TrackedRun,
    arguments: ClassifierArguments,
    cohort: Cohort,
    plan: SlicePlan,
    failures: tuple[Failure, ...],
) -> None:
    """Parameters, plan and dataset of the run."""
    settings = plan.model_dump(mode="json", exclude={"reasons", "dataset"})
    extra = {"fold": arguments.fold, "budget": arguments.budget or f"{arguments.epochs or plan.training.epochs} epochs"}
    parameters = count_parameters(SliceClassifier(plan.network))
    run.log_parameters({**settings, **extra, "parameters": parameters, "failed_cases": len(failures)})
    run.log_file(arguments.folder / "plan.yaml")
    log_cohort(run, cohort)


def _deliver(
    run: TrackedRun | None,
    arguments: ClassifierArguments,
    card: ClassifierCard,
    task: ClassificationTask,
    outcome: Outcome,
    failures: tuple[Failure, ...],
) -> None:
    """Calibrate on the validation cases, and write their tables and pictures."""
    judged = list(outcome.last.rows) if outcome.last else []
    calibration = calibrate(judged, card.targets, shift=task.shift)
    card = card.model_copy(update={"calibration": calibration})
    save_classifier_card(card, arguments.folder / "model")
    if run is not None:
        run.log_metrics({"temperature": calibration.temperature})
        for path in sorted((arguments.folder / "model").iterdir()):
            run.log_file(path, folder="classifier")
    if not judged:
        return
    click.echo(f"temperature {calibration.temperature:.2f}, fitted on the {len(judged)} validation cases")
    if calibration.temperature >= HOTTEST - 1e-6:
        click.echo("warning: the classifier has learned nothing that its validation cases bear out", err=True)
    if outcome.epochs < 2 and outcome.steps < task.steps_per_epoch:
        click.echo("warning: the budget was over before every slice had been seen once; give more", err=True)
    predictor = SlicePredictor.load(arguments.folder, device=task.device)
    notes = {"calibrated_on": "these validation cases, which flatters the calibration"}
    delivered = deliver_scores(
        predictor,
        task.inputs.validation,
        task.inputs.truth,
        folder=arguments.folder / "validation",
        failures=failures,
        notes=notes,
    )
    print_scores(delivered.summary)
    if run is not None:
        track_scores(run, delivered, step=outcome.epochs + 1)
