"""The card of a model of quantities: `quantities.json` beside its weights, with all that their use needs."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from medseg.configuration import Config
from medseg.inference.card import QUANTITY_CARD, model_folder, read_card, write_card
from medseg.inference.model_cost import ModelCost
from medseg.inference.segmentation.config import InferenceConfig
from medseg.networks.precision import PrecisionKind
from medseg.networks.segmentation import AnyNetwork
from medseg.preprocess import PreprocessConfig
from medseg.targets import Quantities


class QuantityCard(Config):
    """Everything about a trained model of quantities except its weights.

    Attributes:
        medseg_version: Version of medseg that trained the model.
        dataset: Name and version of the manifest.
        channels: Names of the image channels that the model takes.
        targets: Quantities with their units, and the numbers that the network learned.
        network: Shape of the network.
        preprocess: Grid and intensities of the network's input.
        inference: Sliding window over a volume.
        trained_on: Ids of the cases that the model was trained on.
        manifest_digest: SHA-256 of the manifest.
        plan_digest: SHA-256 of the plan.
        mlflow_run_id: MLflow run of the training; None without tracking.
        cost: Size of the network and effort of the training; None until the training has ended.
        precision: Number format: single precision, because bfloat16 rounds values to some per mille.
    """

    medseg_version: str
    dataset: str
    channels: tuple[str, ...]
    targets: Quantities
    network: AnyNetwork
    preprocess: PreprocessConfig
    inference: InferenceConfig
    trained_on: tuple[str, ...]
    manifest_digest: str
    plan_digest: str
    mlflow_run_id: str | None = None
    cost: ModelCost | None = Field(None, exclude_if=lambda cost: cost is None)
    precision: PrecisionKind = "fp32"

    @model_validator(mode="after")
    def _channels_are_quantities(self) -> Self:
        if self.targets.channels != self.network.out_channels:
            raise ValueError(
                f"network.out_channels must be the number of quantities {self.targets.channels}, got "
                f"{self.network.out_channels}"
            )
        return self


def save_quantity_card(card: QuantityCard, folder: Path) -> None:
    """Write `quantities.json`."""
    write_card(card, folder / QUANTITY_CARD)


def load_quantity_card(run: Path) -> QuantityCard:
    """Read `quantities.json` of a run or of its `model` folder.

    Raises:
        CheckpointError: If the card is missing or broken.
    """
    return read_card(QuantityCard, model_folder(run) / QUANTITY_CARD, verb="train")


def is_quantity_model(run: Path) -> bool:
    """Whether a folder is a run of a regression, or its model folder."""
    return (model_folder(run) / QUANTITY_CARD).is_file()
