"""The folder of a model that was chosen by cross-validation: its card above the networks that draw together."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from medseg.atomic import write_text
from medseg.configuration import Config, parse_config
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.card import model_folder
from medseg.inference.segmentation.postprocess import Postprocessing
from medseg.networks.weights import weights_digest

CHOSEN_NAME = "chosen.json"
_AGAIN = "copy the whole folder again, or make the choice again"


class ChosenMember(Config):
    """One network of a chosen model.

    Attributes:
        folder: Folder of its card and weights, below that of the chosen model.
        training: Name of the training of all folds that it is from.
        fold: Fold that it was not trained on.
        weights_digest: SHA-256 of the file of its weights.
        plan_digest: SHA-256 of the plan of its training.
        mlflow_run_id: MLflow run of its training; None without tracking.
    """

    folder: str
    training: str
    fold: int
    weights_digest: str
    plan_digest: str
    mlflow_run_id: str | None = None


class ChosenCard(Config):
    """A model that was chosen by cross-validation.

    Attributes:
        software: Name and version of the software that made the choice, and what it is not.
        date: Time of the choice, in UTC, as ISO 8601 writes it.
        name: Name of the configuration, or of both that draw together.
        dataset: Name and version of the dataset that the choice was made on.
        manifest_digest: SHA-256 of the dataset's manifest.
        members: Networks that draw one mask together.
        postprocessing: Rules that change the mask after it is decided, as in the card of every member; None without.
        rule: Rule of the choice, in words.
        mlflow_run_id: MLflow run of the choice; None without tracking.
    """

    software: str
    date: str
    name: str
    dataset: str
    manifest_digest: str
    members: tuple[ChosenMember, ...] = Field(min_length=1)
    postprocessing: Postprocessing | None = None
    rule: str
    mlflow_run_id: str | None = None


def is_chosen(folder: Path) -> bool:
    """Whether a folder is that of a chosen model."""
    return (folder / CHOSEN_NAME).is_file()


def save_chosen_card(card: ChosenCard, folder: Path) -> None:
    """Write `chosen.json`."""
    write_text(folder / CHOSEN_NAME, card.model_dump_json(indent=2) + "\n")


def load_chosen_card(folder: Path) -> ChosenCard:
    """Read `chosen.json`.

    Raises:
        CheckpointError: If it is damaged.
    """
    try:
        content = json.loads((folder / CHOSEN_NAME).read_text(encoding="utf-8"))
        return parse_config(ChosenCard, content, source=CHOSEN_NAME)
    except (OSError, ValueError, ConfigError) as error:
        raise CheckpointError(
            f"chosen model {folder.name}: {CHOSEN_NAME} must be readable, got: {error}", remedy=_AGAIN
        ) from error


def chosen_folders(folder: Path) -> list[Path]:
    """Folders of the networks of a chosen model, all of them.

    Raises:
        CheckpointError: If one is missing, or its weights are not those that were chosen.
    """
    card = load_chosen_card(folder)
    folders = [folder / member.folder for member in card.members]
    for member, place in zip(card.members, folders, strict=True):
        weights = model_folder(place) / "last.safetensors"
        if not weights.is_file() or weights_digest(weights) != member.weights_digest:
            found = "others" if weights.is_file() else "none"
            raise CheckpointError(
                f"chosen model {folder.name}: {member.folder} must hold the weights that were chosen, got {found}",
                remedy=_AGAIN,
            )
    return folders
