"""The card of a segmentation model: `model.json` beside its weights, with all that their use needs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from medseg.configuration import Config, describe_problems
from medseg.errors import CheckpointError
from medseg.inference.card import QUANTITY_CARD, model_folder, read_card, write_card
from medseg.inference.model_cost import ModelCost
from medseg.inference.precision_record import PrecisionCheck
from medseg.inference.segmentation.config import InferenceConfig
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.initialised_from import InitialisedFrom
from medseg.inference.segmentation.postprocess.config import Postprocessing
from medseg.inference.segmentation.quality.statistics import TrainingStatistics
from medseg.networks.precision import PrecisionKind
from medseg.networks.segmentation import AnyNetwork
from medseg.preprocess import PreprocessConfig
from medseg.targets import ExclusiveLabels, LabelMap, Regions

CARD_NAME = "model.json"


class ModelCard(Config):
    """Everything about a trained model except its weights.

    Attributes:
        medseg_version: Version of medseg that trained the model.
        dataset: Name and version of the manifest.
        channels: Names of the image channels that the model takes.
        labels: Value of each label by name.
        regions: Values that make up each structure, where the model finds overlapping ones.
        regions_order: Value that each region writes where no value stands for a combination of them.
        network: Shape of the network.
        preprocess: Grid and intensities of the network's input.
        inference: Sliding window over a volume.
        trained_on: Ids of the cases that the model was trained on.
        manifest_digest: SHA-256 of the manifest.
        plan_digest: SHA-256 of the plan.
        own_network: Name of the user's function that built the network, if it was not medseg's.
        initialised_from: Earlier model whose weights the training began with, if there is one.
        mlflow_run_id: MLflow run of the training; None without tracking.
        cost: Size of the network and effort of the training; None until the training has ended.
        training_statistics: Statistics of the training cases, by which masks are flagged; None where they were not
            taken.
        precision: Number format: `auto` for the device's own, or `fp32`, which `package` may write.
        precision_check: Comparison of bfloat16 and float32 when the model was packaged; None where it was not, or
            showed no label.
        postprocessing: Rules that change a mask after it is decided; None where it stays as it is.
        head: Classes that the network finds beside the mask; None for masks alone.
    """

    medseg_version: str
    dataset: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    regions_order: tuple[int, ...] | None = Field(None, exclude_if=lambda order: order is None)
    network: AnyNetwork
    preprocess: PreprocessConfig
    inference: InferenceConfig
    trained_on: tuple[str, ...]
    manifest_digest: str
    plan_digest: str
    own_network: str | None = Field(None, exclude_if=lambda name: name is None)
    initialised_from: InitialisedFrom | None = Field(None, exclude_if=lambda earlier: earlier is None)
    mlflow_run_id: str | None = Field(None, exclude_if=lambda run_id: run_id is None)
    cost: ModelCost | None = Field(None, exclude_if=lambda cost: cost is None)
    training_statistics: TrainingStatistics | None = Field(None, exclude_if=lambda statistics: statistics is None)
    precision: PrecisionKind = Field("auto", exclude_if=lambda kind: kind == "auto")
    precision_check: PrecisionCheck | None = Field(None, exclude_if=lambda check: check is None)
    postprocessing: Postprocessing | None = Field(None, exclude_if=lambda rules: rules is None)
    head: HeadCard | None = Field(None, exclude_if=lambda head: head is None)

    @model_validator(mode="after")
    def _channels_have_a_meaning(self) -> Self:
        try:
            channels = self.target.channels
        except ValidationError as error:
            kind = ExclusiveLabels if self.regions is None else Regions
            raise ValueError("; ".join(describe_problems(kind, error))) from error
        if channels != self.network.out_channels:
            raise ValueError(
                f"network.out_channels must be the number of {'regions' if self.regions else 'labels'} {channels}, "
                f"got {self.network.out_channels}"
            )
        return self

    @model_validator(mode="after")
    def _rules_are_of_structures(self) -> Self:
        rules = self.postprocessing.structures if self.postprocessing is not None else ()
        unknown = [rule.structure for rule in rules if rule.structure not in self.target.structures]
        if unknown:
            raise ValueError(f"postprocessing must be of the labels {self.target.structures}, got {unknown[0]!r}")
        return self

    @model_validator(mode="after")
    def _head_is_of_the_network(self) -> Self:
        expected = getattr(self.network, "head_classes", 0)
        if len(self.head.classes if self.head else ()) != expected:
            raise ValueError(f"head must have the network's {expected} classes, got {self.head}")
        return self

    @property
    def target(self) -> LabelMap:
        """Meaning of the network's channels."""
        if self.regions is None:
            return ExclusiveLabels(labels=self.labels)
        return Regions(labels=self.labels, regions=self.regions, order=self.regions_order or ())

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the dataset's cases from which the weights come: those of earlier models on it are among them."""
        earlier = self.initialised_from.seen_here if self.initialised_from is not None else ()
        return tuple(dict.fromkeys((*self.trained_on, *earlier)))


def save_card(card: ModelCard, folder: Path) -> None:
    """Write `model.json`."""
    write_card(card, folder / CARD_NAME)


def load_card(run: Path) -> ModelCard:
    """Read `model.json` of a run or of its `model` folder; see `read_card`.

    Raises:
        CheckpointError: If the card is missing or broken, or that of a model adopted from elsewhere.
    """
    from medseg.inference.nnunet import is_adopted

    if is_adopted(run):
        raise CheckpointError(
            f"model {model_folder(run)}: must be one that medseg trained, got one that was adopted from nnU-Net",
            remedy="give a run of medseg train; an adopted model draws masks, and knows nothing of its training",
        )
    if (model_folder(run) / QUANTITY_CARD).is_file():
        raise CheckpointError(
            f"model {model_folder(run)}: must be of labels, got one of quantities",
            remedy="give a run of medseg train on labels; train, predict and evaluate alone know quantities",
        )
    return read_card(ModelCard, model_folder(run) / CARD_NAME, verb="train")
