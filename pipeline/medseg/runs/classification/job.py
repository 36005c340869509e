"""The training of a slice classifier as a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from medseg import __version__
from medseg.errors import TrainingError
from medseg.evaluation.classification import flat_metrics, scoped_scores
from medseg.evaluation.classification.calibration import HOTTEST
from medseg.inference import model_folder
from medseg.inference.classification import ClassifierCard, SlicePredictor, save_classifier_card
from medseg.inference.classification.card import CLASSIFIER_NAME
from medseg.manifest import manifest_digest, require_no_quantities
from medseg.networks import count_parameters
from medseg.networks.classification import SliceClassifier, load_imagenet, load_unet_encoder
from medseg.networks.weights import read_weights
from medseg.plane import PLANES
from medseg.planning import SlicePlan, plan_digest
from medseg.planning.sizes import DeviceKind
from medseg.records import Manifest
from medseg.runs.classification.labels import labels_digest, prepare_labelled, read_label_table, warn_of_absent
from medseg.runs.classification.plan import plan_classifier
from medseg.runs.classification.scores import deliver_scores, log_scores
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.describe import size_text
from medseg.runs.job import Delivered, Finished, Planned, Prepared
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import log_trained_model
from medseg.runs.training_cases import TrainingCases
from medseg.training.classification import ClassificationInputs, ClassificationTask, calibrate
from medseg.training.engine import Attach


class ClassificationJob:
    """Probabilities of classes on slices, validated by AUROC.

    Args:
        settings: Choices of the classifier.
        attach: Functions that attach handlers to the training's engines.

    Raises:
        ConfigError: If the labels are a file that cannot be read.
    """

    stage = "classify train"

    def __init__(self, settings: ClassificationSettings, *, attach: Sequence[Attach] = ()) -> None:
        self.choices = settings
        self.own_parts: tuple[str, ...] = ()
        self.attach = attach
        self.table = read_label_table(settings.labels)
        self.labels_digest = labels_digest(settings.labels)
        self.named_choices: Mapping[str, str] = _named_choices(settings)

    def check(self, manifest: Manifest) -> None:
        """Refuse quantities; what a slice may show where nobody has annotated is unknown, and no reason to refuse."""
        require_no_quantities(manifest, "a training of classes")

    def plan(
        self,
        cases: TrainingCases,
        settings: TrainingSettings,
        *,
        device: DeviceKind,
        progress: Progress,
        seconds: float | None = None,
    ) -> Planned[SlicePlan]:
        """The given plan, or one from the training scans, with the asked changes."""
        choices = replace(
            self.choices, **{field.name: getattr(settings, field.name) for field in fields(TrainingSettings)}
        )
        return plan_classifier(cases, self.table, choices, device=device, progress=progress)

    def prepare(
        self, cases: TrainingCases, plan: SlicePlan, settings: TrainingSettings, *, progress: Progress
    ) -> Prepared[ClassificationTask]:
        """Slices in the store, with their truth."""
        slices = prepare_labelled(cases, plan, self.table, settings, progress=progress)
        if not slices.training:
            raise TrainingError(
                f"manifest {cases.manifest.name}: no training case could be prepared; {slices.failures[0].reason}"
            )
        warn_of_absent(slices, plan.targets)
        inputs = ClassificationInputs(
            training=slices.training,
            validation=slices.validation,
            truth=slices.truth,
            targets=plan.targets,
            slices=plan.slices,
            network=plan.network,
            config=plan.training,
            device=torch_device(settings.device),
            folder=settings.out,
            initialise=_initialiser(settings.initial, plan),
        )
        return Prepared(ClassificationTask(inputs), slices.failures)

    def count_parameters(self, plan: SlicePlan) -> int:
        """Trainable parameters of the classifier."""
        return count_parameters(SliceClassifier(plan.network))

    def readable(self, plan: SlicePlan) -> dict[str, Any]:
        """Pictures, network and optimisation."""
        return {
            "plane": plan.slices.plane,
            "pixel_mm": f"{plan.slices.pixel_mm:g}",
            "picture": size_text(plan.slices.size),
            "classes": ", ".join(plan.targets.classes),
            "batch_size": plan.training.batch_size,
            "network": plan.network.architecture,
            "learning_rate": f"{plan.training.learning_rate:g}",
            "optimiser": plan.training.optimiser,
            "seed": plan.training.seed,
        }

    def save_card(
        self,
        folder: RunFolder,
        cases: TrainingCases,
        plan: SlicePlan,
        task: ClassificationTask,
        *,
        is_resumed: bool,
        run_id: str | None,
    ) -> None:
        """Write `model/classifier.json`, unless a resumed run has one, whose calibration would be lost."""
        if not (is_resumed and (folder.model / CLASSIFIER_NAME).exists()):
            save_classifier_card(_card(cases, plan, task, run_id), folder.model)

    def deliver(self, done: Finished[SlicePlan, ClassificationTask]) -> Delivered:
        """Calibrate on the validation cases, and write and log their tables and pictures."""
        validated = list(done.outcome.last.rows) if done.outcome.last else []
        calibration = calibrate(validated, done.plan.targets, shift=done.task.shift)
        save_classifier_card(
            _card(done.cases, done.plan, done.task, done.run_id).model_copy(update={"calibration": calibration}),
            done.folder.model,
        )
        if done.run is not None:
            done.run.log_metrics({"temperature": calibration.temperature}, step=done.outcome.steps)
        if not validated:
            _log_model(done, {})
            return Delivered(None)
        warnings = []
        if calibration.temperature >= HOTTEST - 1e-6:
            warnings.append("the classifier has learned nothing that its validation cases bear out")
        if done.outcome.epochs < 2 and done.outcome.steps < done.task.steps_per_epoch:
            warnings.append("the budget was over before every slice had been seen once; give more")
        delivered = deliver_scores(
            SlicePredictor.load(done.folder.path, device=done.task.device),
            done.task.inputs.validation,
            done.task.inputs.truth,
            folder=done.folder.validation,
            failures=done.failures,
            notes={"calibrated_on": "these validation cases, which flatters the calibration"},
        )
        if done.run is not None:
            # At a step after all others, so that MLflow shows them as the latest.
            done.run.log_metrics(flat_metrics(delivered.summary), step=done.outcome.steps + 1)
            log_scores(done.run, delivered)
            _log_model(done, scoped_scores(delivered.summary, "val"))
        note = f"temperature {calibration.temperature:.2f}, fitted on the {len(validated)} validation cases"
        return Delivered(delivered.summary, tuple(warnings), notes=(note,))


def _log_model(done: Finished[SlicePlan, ClassificationTask], values: Mapping[str, float]) -> None:
    """Log the classifier, with its numbers, if there is an MLflow run."""
    if done.run is not None:
        log_trained_model(
            done.run,
            done.folder.model,
            done.cases.manifest,
            name=done.name,
            step=done.outcome.steps + 1,
            values=values,
        )


def _named_choices(settings: ClassificationSettings) -> dict[str, str]:
    """Choices of the classifier that are not the default."""
    own = {field.name: field for field in fields(ClassificationSettings)}
    named = ("plane", "context", "min_area_mm2", "kind", "classes", "pooling", "architecture")
    differing = {name: getattr(settings, name) for name in named if getattr(settings, name) != own[name].default}
    if settings.labels not in {"label", "slice_labels"}:
        differing["labels"] = Path(settings.labels).name
    elif settings.labels != "label":
        differing["labels"] = settings.labels
    return {name: str(value) for name, value in differing.items()}


def _card(cases: TrainingCases, plan: SlicePlan, task: ClassificationTask, run_id: str | None) -> ClassifierCard:
    return ClassifierCard(
        medseg_version=__version__,
        dataset=f"{cases.manifest.name} {cases.manifest.version}",
        channels=cases.manifest.channels,
        slices=plan.slices,
        targets=plan.targets,
        network=plan.network,
        shift=tuple(float(value) for value in task.shift),
        trained_on=tuple(case.case_id for case in task.inputs.training),
        manifest_digest=manifest_digest(cases.manifest),
        plan_digest=plan_digest(plan),
        mlflow_run_id=run_id,
    )


def _initialiser(path: Path | None, plan: SlicePlan) -> Callable[[SliceClassifier], None] | None:
    """The function that loads the weights to begin with."""
    if path is None:
        return None
    if not path.is_dir():
        return lambda network: load_imagenet(network, path)
    weights = read_weights(model_folder(path) / "last.safetensors")
    axis = PLANES[plan.slices.plane].axis
    return lambda network: load_unet_encoder(network, weights, slice_axis=axis)
