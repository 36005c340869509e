"""The folder of a trained model, and the card beside its weights: one JSON file that describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import write_text
from medseg.configuration import AnyConfig, Config, parse_config
from medseg.errors import CheckpointError, ConfigError

CLASSIFIER_NAME = "classifier.json"
QUANTITY_CARD = "quantities.json"


def model_folder(run: Path) -> Path:
    """The `model` folder of a run, or the folder itself if it has none."""
    return run / "model" if (run / "model").is_dir() else run


def write_card(card: Config, path: Path) -> None:
    """Write a card as JSON, whole or not at all."""
    write_text(path, card.model_dump_json(indent=2) + "\n")


def card_digest(runs: Sequence[Path], name: str) -> str:
    """SHA-256 over the cards of some runs: settings of the same weights, such as mirror axes, may be changed there."""
    files = [(model_folder(run) / name).read_bytes() for run in runs]
    return hashlib.sha256("".join(f"{hashlib.sha256(one).hexdigest()}\n" for one in files).encode()).hexdigest()


def read_card(kind: type[AnyConfig], path: Path, *, verb: str) -> AnyConfig:
    """Read a card.

    Args:
        kind: Class of the card.
        path: File of the card.
        verb: Command of medseg that writes such a card, for the remedy.

    Raises:
        CheckpointError: If the card is missing or broken.
    """
    try:
        return parse_config(kind, json.loads(path.read_text(encoding="utf-8")), source=str(path))
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"model {path.parent}: {path.name} must be readable, got: {error}",
            remedy=f"give a run of medseg {verb}, copied whole, or train again",
        ) from error
