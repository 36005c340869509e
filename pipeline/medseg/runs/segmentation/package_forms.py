"""The forms of a package, each written from the collected cards and weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medseg.delivery.bundle import write_bundle
from medseg.delivery.onnx_model import OnnxNetwork, export_onnx
from medseg.inference.nnunet import is_adopted, load_adopted_card
from medseg.inference.nnunet.card import EARLIER
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.card import load_card
from medseg.inference.segmentation.package_card import PackageCard
from medseg.networks.segmentation import build_network
from medseg.networks.weights import load_weights
from medseg.tracking.servable import save_servable


def write_mlflow(data: Path, out: Path, limits: RequestLimits) -> None:
    """Write all models as one MLflow model.

    Args:
        data: Folder of the package's card and models.
        out: Target folder, new.
        limits: Limits of each request to a server.
    """
    save_servable(data, out, limits=limits)


def write_bundles(card: PackageCard, data: Path, out: Path) -> Iterator[str]:
    """Write the bundle of each model that medseg trained; models that make none are told of.

    Args:
        card: Card of the package.
        data: Folder of the package's models.
        out: Target folder; the bundle itself where there is one model.
    """
    for one in card.models:
        if is_adopted(data / one.folder):
            yield f"{one.folder}: a model that was adopted from nnU-Net makes no bundle"
        elif load_card(data / one.folder).regions is not None:
            yield f"{one.folder}: a model of regions makes no bundle, whose postprocessing is that of exclusive labels"
        else:
            write_bundle(data / one.folder, out / one.folder if len(card.models) > 1 else out, weights=one.weights)


def write_onnx(card: PackageCard, data: Path, out: Path) -> None:
    """Write every network as ONNX, those of an adopted model's folds and earlier stage among them.

    Args:
        card: Card of the package.
        data: Folder of the package's models.
        out: Target folder; that of the network itself where there is one.
    """
    sources = [
        (f"{one.folder}/{place}".rstrip("/"), source)
        for one in card.models
        for place, source in _networks(data / one.folder, one.weights)
    ]
    for place, source in sources:
        export_onnx(source, out / place if len(sources) > 1 else out)


def _networks(folder: Path, weights: str) -> Iterator[tuple[str, OnnxNetwork]]:
    """The networks of a model, with the place of each below the model's."""
    if not is_adopted(folder):
        yield "", _trained(folder, weights)
        return
    card = load_adopted_card(folder)
    for fold in card.folds:
        network = build_network(card.network)
        load_weights(network, folder / fold.file)
        yield (
            f"fold_{fold.name}",
            OnnxNetwork(
                network=network.eval(),
                in_channels=card.network.in_channels,
                patch_size=card.patch_size[: card.network.spatial_dims],
                channels=card.channels,
                target=card.target,
                preprocess=card.preprocess.model_dump(mode="json"),
                weights=fold.file,
            ),
        )
    if card.has_earlier_stage:
        yield from ((f"{EARLIER}/{place}", source) for place, source in _networks(folder / EARLIER, weights))


def _trained(folder: Path, weights: str) -> OnnxNetwork:
    card = load_card(folder)
    network = build_network(card.network)
    load_weights(network, folder / f"{weights}.safetensors")
    return OnnxNetwork(
        network=network.eval(),
        in_channels=card.network.in_channels,
        patch_size=card.inference.patch_size[: card.network.spatial_dims],
        channels=card.channels,
        target=card.target,
        preprocess=card.preprocess.model_dump(mode="json"),
        weights=f"{weights}.safetensors",
    )
