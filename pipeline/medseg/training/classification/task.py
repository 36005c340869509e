"""Slices in, probabilities of classes out, measured by AUROC."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.errors import TrainingError
from medseg.evaluation.classification import flat_metrics, summarise_scores
from medseg.inference.classification import SliceOutputs, slice_outputs, slice_probabilities, study_probabilities
from medseg.networks.classification import ClassifierConfig, SliceClassifier
from medseg.networks.precision import autocast, to_device, widened
from medseg.preprocess.classification import SliceConfig, StoredSlices
from medseg.preprocess.classification.targets import SliceTargets
from medseg.records import Array, SliceScores
from medseg.targets import SliceClasses
from medseg.training.augment import augment_batch
from medseg.training.batches import Batch, batches
from medseg.training.classification.config import SliceTrainingConfig
from medseg.training.classification.loss import ClassLoss
from medseg.training.classification.samples import SliceSamples, StudySamples, steps_per_epoch
from medseg.training.classification.weights import class_weights
from medseg.training.ranks import is_alone
from medseg.training.share import Share, gathered, own_share
from medseg.training.step import make_step
from medseg.training.task import CaseStep, Step, Validation


@dataclass(frozen=True, slots=True)
class ClassificationInputs:
    """Cases and settings of a slice classifier's training.

    Attributes:
        training: Prepared cases to learn from.
        validation: Prepared cases to validate on; may be empty.
        truth: Truth of every case by its id.
        targets: Classes and their kind.
        slices: Plane, pixels and intensities of the pictures.
        network: Shape of the network; with pooling, labels are per study.
        config: Optimisation.
        device: Device of the training.
        folder: Target folder of the weights (`model/`) and of the checkpoint.
        initialise: Function that loads given weights into the fresh network; None keeps the fresh ones.
    """

    training: Sequence[StoredSlices]
    validation: Sequence[StoredSlices]
    truth: Mapping[str, SliceTargets]
    targets: SliceClasses
    slices: SliceConfig
    network: ClassifierConfig
    config: SliceTrainingConfig
    device: torch.device
    folder: Path
    initialise: Callable[[SliceClassifier], None] | None = None

    @property
    def is_per_study(self) -> bool:
        """Whether the network learns from labels of whole studies."""
        return self.network.pooling != "none"


class ValidatedCase(NamedTuple):
    """One validation case in the order of the slice axis: probabilities at temperature 1, and their logits."""

    scores: SliceScores
    outputs: SliceOutputs


class ClassificationTask:
    """Training of a slice classifier.

    Args:
        inputs: Cases and settings.

    Raises:
        TrainingError: If no training slice or study has a known class, or no class both occurs and is absent.
    """

    def __init__(self, inputs: ClassificationInputs) -> None:
        self.inputs = inputs
        self.optimisation = inputs.config
        self.device = inputs.device
        self.folder = inputs.folder
        self.validation_cases = inputs.validation
        kind = StudySamples if inputs.is_per_study else SliceSamples
        self.samples = kind(inputs.training, inputs.truth, inputs.config, context=inputs.slices.context)
        if not len(self.samples):
            raise TrainingError(
                "training must have at least one sample with a known class, got none", remedy="label some"
            )
        self.steps_per_epoch = steps_per_epoch(len(self.samples), inputs.config)
        rows = self._known_rows()
        if not ((rows == 1).any(axis=0) & (rows == 0).any(axis=0)).any():
            raise TrainingError(
                "training must have a class that some samples show and others do not, got none",
                remedy="choose other classes, another smallest area or another plane",
            )
        self.weights = self._class_weights(rows)

    @property
    def shift(self) -> Array:
        """Shift of the logits by the class weights, `(classes,)`."""
        return np.log(self.weights)

    def build(self) -> nn.Module:
        """The classifier, with fresh or given weights."""
        network = SliceClassifier(self.inputs.network)
        if self.inputs.initialise is not None:
            self.inputs.initialise(network)
        return to_device(network, self.device, spatial_dims=2)

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """Steps on augmented slices, or on studies made of them, with the cross-entropy."""
        classifier = _classifier(network)
        config = self.inputs.config
        loss = ClassLoss(self.inputs.targets.kind, self.weights).to(self.device)
        share = own_share(config.batch_size)

        def loss_of(batch: Batch, seed: int) -> Tensor:
            image = batch["image"]
            lengths = [image.shape[1]] * len(image) if image.ndim == 5 else None
            image = image.flatten(0, 1) if lengths else image  # (studies × slices, C', I, J)
            part = None if is_alone() else share.times(len(image) // len(batch["image"]))
            image = self._augmented(image, seed, part)
            with autocast(self.device, config.precision):
                features = classifier.features(image.contiguous(memory_format=torch.channels_last))
            features = widened(features)
            logits = classifier.study_logits(features, lengths) if lengths else classifier.classify(features)
            value: Tensor = loss(gathered(logits, share), gathered(batch["target"], share))
            return value

        return make_step(classifier, optimiser, config, self.device, loss_of=loss_of)

    def batches(self, first_step: int, progress: Callable[[int], float]) -> Iterator[Batch]:
        """Slices or studies from the store."""
        return batches(self.samples, first_step=first_step, device=self.device)

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        """Probabilities, logits and truth of one case."""
        classifier = _classifier(network)

        def measure(engine: Engine, case: StoredSlices) -> list[ValidatedCase]:
            return self.validate_cases(classifier, [case])

        return measure

    def summarise(self, rows: Sequence[ValidatedCase]) -> Validation:
        """Mean AUROC over classes: of slices, or of studies where labels are per study."""
        targets = self.inputs.targets
        scores = [case.scores for case in rows]
        values = flat_metrics(summarise_scores(scores, classes=targets.classes, kind=targets.kind, resamples=0))
        level = "study" if self.inputs.is_per_study else "slice"
        score = values.get(f"{level}_auroc/mean", math.nan)
        return Validation(score if math.isfinite(score) else -math.inf, values, rows)

    def validate_cases(self, network: nn.Module, cases: Sequence[StoredSlices]) -> list[ValidatedCase]:
        """Probabilities, logits and truth of any prepared cases."""
        classifier = _classifier(network).eval()
        return [self._validate_case(classifier, case) for case in cases]

    def _validate_case(self, classifier: SliceClassifier, case: StoredSlices) -> ValidatedCase:
        inputs = self.inputs
        outputs = slice_outputs(
            classifier,
            case.stack(),
            context=inputs.slices.context,
            device=self.device,
            precision=inputs.config.precision,
        )
        kind, truth = inputs.targets.kind, inputs.truth[case.case_id]
        found = slice_probabilities(outputs.slices, shift=self.shift, temperature=1.0, kind=kind)
        study = study_probabilities(outputs, found, shift=self.shift, temperature=1.0, kind=kind)
        scores = SliceScores(
            case_id=case.case_id,
            patient_id=case.patient_id,
            axis=case.axis,
            positions_mm=case.positions_mm,
            probabilities=found,
            study=study,
            truth=truth.slices,
            study_truth=truth.study,
        )
        return ValidatedCase(scores, outputs)

    def _known_rows(self) -> Array:
        """Truth of all training slices, or studies, `(N, classes)`."""
        inputs = self.inputs
        truths = [inputs.truth[case.case_id] for case in inputs.training]
        return np.concatenate([truth.study[None] if inputs.is_per_study else truth.slices for truth in truths])

    def _class_weights(self, rows: Array) -> Array:
        inputs = self.inputs
        if not inputs.config.balance:
            return np.ones(rows.shape[1])
        return class_weights(rows, kind=inputs.targets.kind, strongest=inputs.config.strongest_weight)

    def _augmented(self, image: Tensor, seed: int, share: Share | None = None) -> Tensor:
        """Augmented pictures `(B, C', I, J)`, which may be a share of the batch."""
        flat = image[..., None]  # (B, C', I, J, 1)
        dummy = torch.zeros_like(flat[:, :1])
        return augment_batch(flat, dummy, self.inputs.config.augment, seed=seed, share=share)[0][..., 0]


def _classifier(network: nn.Module) -> SliceClassifier:
    if not isinstance(network, SliceClassifier):
        raise TypeError("classification trains a SliceClassifier")
    return network
