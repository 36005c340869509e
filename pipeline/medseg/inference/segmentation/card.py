"""What must be known to use a model's weights: `model.json` beside them."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.atomic import write_text
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.segmentation.config import InferenceConfig
from medseg.networks import NetworkConfig
from medseg.preprocess import PreprocessConfig

CARD_NAME = "model.json"


class ModelCard(Config):
    """A trained model, but for its weights.

    Attributes:
        medseg_version: That trained it.
        dataset: Name and version of the manifest.
        channels: Names of the image channels that it takes.
        labels: Value of each label by name; class n of the network is the n-th value in rising order.
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

    @property
    def values(self) -> tuple[int, ...]:
        """Label value of each class of the network."""
        return tuple(sorted(self.labels.values()))


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
