"""What must be known to use a model's weights: `model.json` beside them."""

from __future__ import annotations

from pathlib import Path

from medseg.configuration import Config
from medseg.inference.card import model_folder, read_card, write_card
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
    write_card(card, folder / CARD_NAME)


def load_card(run: Path) -> ModelCard:
    """Read `model.json` of a run or of its `model` folder; see `read_card`."""
    return read_card(ModelCard, model_folder(run) / CARD_NAME, verb="train")
