"""The folder of a MONAI bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import jinja2
import torch

from medseg.atomic import write_json, write_text
from medseg.delivery.bundle.configs import bundle_metadata, inference_config
from medseg.delivery.bundle.loaded_parts import WEIGHTS_NAME
from medseg.delivery.optional_package import optional_package
from medseg.inference.card import model_folder
from medseg.inference.segmentation.card import CARD_NAME, ModelCard, load_card
from medseg.networks.weights import read_weights
from medseg.tracking.own_wheel import wheel_name, write_wheel
from medseg.version import __version__


def check_bundle_packages() -> None:
    """Refuse the form before any work where MONAI's command cannot run a bundle.

    Raises:
        DeliveryError: If a package is missing.
    """
    optional_package("fire", form="bundle")


def write_bundle(run: Path, out: Path, *, weights: str = "last") -> None:
    """Write the bundle of a model that medseg trained.

    Args:
        run: Folder of the run, or its `model` folder.
        out: Folder of the bundle, new.
        weights: `last`, or `best` for the weights of the best validation.

    Raises:
        CheckpointError: If card or weights cannot be read, or the model was adopted from elsewhere.
        DeliveryError: If a package is missing.
    """
    check_bundle_packages()
    card = load_card(run)
    state = read_weights(model_folder(run) / f"{weights}.safetensors")
    for name in ("configs", "models", "docs"):
        (out / name).mkdir(parents=True)
    write_json(out / "configs" / "inference.json", inference_config(card))
    write_json(out / "configs" / "metadata.json", bundle_metadata(card))
    shutil.copyfile(model_folder(run) / CARD_NAME, out / "models" / CARD_NAME)
    torch.save(state, out / "models" / WEIGHTS_NAME)
    write_text(out / "docs" / "README.md", _readme(card))
    write_text(out / "docs" / "license.txt", _license(card))
    write_wheel(out / "code")


def _readme(card: ModelCard) -> str:
    pages = jinja2.Environment(  # noqa: S701  # Markdown, which a browser does not run
        loader=jinja2.PackageLoader("medseg.delivery.bundle"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return pages.get_template("README.md").render(
        name=card.dataset,
        labels=", ".join(name for name, value in card.labels.items() if value),
        channels=", ".join(card.channels),
        dataset=card.dataset,
        wheel=wheel_name(),
    )


def _license(card: ModelCard) -> str:
    return (
        f"The code in this bundle, medseg {__version__}, is licensed under the Apache License 2.0.\n"
        f"The weights are those of a training on {card.dataset}; whoever trained them decides about their use.\n"
    )
