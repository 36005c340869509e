"""What must be known to use a model's weights: `model.json` beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator

from medseg.atomic import write_text
from medseg.configuration import Config, describe_problems, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.segmentation.config import InferenceConfig
from medseg.networks import NetworkConfig
from medseg.preprocess import PreprocessConfig
from medseg.targets import ExclusiveLabels

CARD_NAME = "model.json"


class ModelCard(Config):
    """A trained model, but for its weights.

    Attributes:
        medseg_version: That trained it.
        dataset: Name and version of the manifest.
        channels: Names of the image channels that it takes.
        labels: Value of each label by name.
        network: Its shape.
        preprocess: How a scan comes onto its grid.
        inference: How it is slid over a volume.
        trained_on: Case ids that it has seen.
        manifest_digest: SHA-256 of the manifest.
        plan_digest: SHA-256 of the plan.
    """

    medseg_version: str
    dataset: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    network: NetworkConfig
    preprocess: PreprocessConfig
    inference: InferenceConfig
    trained_on: tuple[str, ...]
    manifest_digest: str
    plan_digest: str

    @model_validator(mode="after")
    def _channels_have_a_meaning(self) -> Self:
        try:
            channels = self.target.channels
        except ValidationError as error:
            raise ValueError("; ".join(describe_problems(ExclusiveLabels, error))) from error
        if channels != self.network.out_channels:
            raise ValueError(
                f"network.out_channels must be the number of labels {channels}, got {self.network.out_channels}"
            )
        return self

    @property
    def target(self) -> ExclusiveLabels:
        """Meaning of the network's channels."""
        return ExclusiveLabels(labels=self.labels)


def save_card(card: ModelCard, folder: Path) -> None:
    """Write `model.json`."""
    write_text(folder / CARD_NAME, card.model_dump_json(indent=2) + "\n")


def load_card(folder: Path) -> ModelCard:
    """Read `model.json`.

    Raises:
        CheckpointError: If it is missing or broken.
    """
    path = folder / CARD_NAME
    try:
        return parse_config(ModelCard, json.loads(path.read_text(encoding="utf-8")), source=str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"model {folder}: {CARD_NAME} must be readable, got: {error}; train again or copy it whole"
        ) from error
