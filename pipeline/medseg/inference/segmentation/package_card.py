"""The card of a packaged model: `package.json` above the models of an ensemble."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import write_text
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.precision_record import PrecisionCheck

PACKAGE_NAME = "package.json"
_AGAIN = "copy the whole package again, or make it again with medseg package"


class PackagedModel(Config):
    """One model of a package.

    Attributes:
        folder: Name of its folder beside the card.
        dataset: Name and version of the manifest that it was trained on.
        weights: Name of its weights, `last` or `best`.
        weights_digest: SHA-256 of the file of its weights, of several files over theirs.
        precision_check: Comparison of bfloat16 and float32; None where nothing showed a label.
    """

    folder: str
    dataset: str
    weights: str
    weights_digest: str
    precision_check: PrecisionCheck | None = None


class PackageCard(Config):
    """Everything about a package that is not in the cards of its models.

    Attributes:
        software: Name and version of the software that made the package, and what it is not.
        date: Time at which it was made, in UTC, as ISO 8601 writes it.
        channels: Names of the image channels, in order.
        labels: Value of each label by name.
        models: Models that draw one mask together.
        notes: Sentences for whoever uses the package.
    """

    software: str
    date: str
    channels: tuple[str, ...]
    labels: dict[str, int]
    models: tuple[PackagedModel, ...]
    notes: tuple[str, ...] = ()

    @property
    def weights(self) -> str:
        """Name of the weights of every model."""
        return self.models[0].weights


def save_package_card(card: PackageCard, folder: Path) -> None:
    """Write `package.json`."""
    write_text(folder / PACKAGE_NAME, card.model_dump_json(indent=2) + "\n")


def load_package_card(folder: Path) -> PackageCard:
    """Read `package.json`.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    try:
        content = json.loads((folder / PACKAGE_NAME).read_text(encoding="utf-8"))
        return parse_config(PackageCard, content, source=PACKAGE_NAME)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"package {folder.name}: {PACKAGE_NAME} must be readable, got: {error}", remedy=_AGAIN
        ) from error


def check_weights(card: PackageCard, loaded: Sequence[ModelIdentity]) -> None:
    """Refuse a package whose weights are not those that were packaged.

    Args:
        card: Card of the package.
        loaded: Models as they were loaded, in the order of the card.

    Raises:
        CheckpointError: If the weights of one differ.
    """
    for packaged, model in zip(card.models, loaded, strict=True):
        if packaged.weights_digest and packaged.weights_digest != model.weights_digest:
            raise CheckpointError(
                f"package, {packaged.folder}: the weights must have the SHA-256 in {PACKAGE_NAME}, got others",
                remedy=_AGAIN,
            )
