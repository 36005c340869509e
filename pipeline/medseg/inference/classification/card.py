"""The card of a slice classifier: `classifier.json` beside its weights, with all that their use needs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.errors import ConfigError
from medseg.inference.card import CLASSIFIER_NAME as CLASSIFIER_NAME
from medseg.inference.card import model_folder, read_card, write_card
from medseg.networks.classification import ClassifierConfig
from medseg.preprocess.classification import SliceConfig
from medseg.targets import SliceClasses


class GatePoint(Config):
    """A threshold on the probability that a slice shows any class, chosen on the validation cases.

    Attributes:
        sensitivity: Stated share of the slices that show something.
        threshold: Least probability of the slab's first and last slice; the slab reaches a margin beyond them.
        reached: Share of the slices that show something that lay in the slabs.
        kept: Share of all slices that lay in the slabs.
    """

    sensitivity: float
    threshold: float
    reached: float
    kept: float


class Calibration(Config):
    """Settings of the use of a classifier that were chosen on its validation cases; the defaults are those without any.

    Attributes:
        cases: Number of validation cases.
        calibrated_on: Ids of the validation cases; their results look better than those of other cases.
        temperature: Divisor of the logits.
        gate: Thresholds for stated sensitivities, the lowest sensitivity first; empty without validation cases.
        disagreement_limit: Disagreement that 95 % of the validation cases stay below with their own reference; None
            without validation cases.
    """

    cases: int = 0
    calibrated_on: tuple[str, ...] = ()
    temperature: float = Field(1.0, gt=0)
    gate: tuple[GatePoint, ...] = ()
    disagreement_limit: float | None = None


class ClassifierCard(Config):
    """Everything about a trained slice classifier except its weights.

    Attributes:
        medseg_version: Version of medseg that trained the model.
        dataset: Name and version of the manifest.
        channels: Names of the image channels that the model takes.
        slices: Plane, size and intensities of the pictures.
        targets: Classes, and the source that they were learned from.
        network: Shape of the network.
        shift: Offset to subtract from the logits of each class: the logarithm of its weight in the training's loss.
        calibration: Temperature and thresholds from the validation cases.
        trained_on: Ids of the cases that the model was trained on.
        manifest_digest: SHA-256 of the manifest.
        plan_digest: SHA-256 of the plan.
        mlflow_run_id: MLflow run of the training; None without tracking.
    """

    medseg_version: str
    dataset: str
    channels: tuple[str, ...]
    slices: SliceConfig
    targets: SliceClasses
    network: ClassifierConfig
    shift: tuple[float, ...]
    calibration: Calibration = Calibration()
    trained_on: tuple[str, ...]
    manifest_digest: str
    plan_digest: str
    mlflow_run_id: str | None = Field(None, exclude_if=lambda run_id: run_id is None)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        counts = (self.targets.channels, self.network.out_channels, len(self.shift))
        if len(set(counts)) > 1:
            raise ValueError(f"classes, network.out_channels and shift must be as many, got {counts}")
        if len(self.channels) != len(self.slices.normalisation) or self.network.in_channels != self.slices.channels:
            raise ValueError(
                f"network.in_channels must be the {len(self.channels)} channels times the slices, got "
                f"{self.network.in_channels} for {self.slices.channels}"
            )
        return self

    def gate_point(self, sensitivity: float) -> GatePoint:
        """The threshold of the lowest listed sensitivity that reaches the given one.

        Raises:
            ConfigError: If there are no thresholds, or none for so high a sensitivity.
        """
        listed = self.calibration.gate
        if not listed:
            raise ConfigError(
                "gate: the classifier must have thresholds from validation cases whose slices are known to show "
                f"something or nothing, got none from {self.calibration.cases} case(s)",
                remedy="train it to its end (resume it if it stopped), with a validation fold and labels per slice",
            )
        points = [point for point in listed if point.sensitivity >= sensitivity - 1e-9]
        if not points:
            raise ConfigError(
                f"gate: sensitivity must be at most {listed[-1].sensitivity:g}, the highest that the classifier has a "
                f"threshold for, got {sensitivity:g}"
            )
        return points[0]


def save_classifier_card(card: ClassifierCard, folder: Path) -> None:
    """Write `classifier.json`."""
    write_card(card, folder / CLASSIFIER_NAME)


def load_classifier_card(run: Path) -> ClassifierCard:
    """Read `classifier.json` of a run or of its `model` folder; see `read_card`."""
    return read_card(ClassifierCard, model_folder(run) / CLASSIFIER_NAME, verb="classify train")
