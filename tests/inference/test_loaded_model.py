"""Both predictors are loaded alike: from a run or its model folder, with the same refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from medseg.errors import CheckpointError
from medseg.inference import model_folder
from medseg.inference.classification import SlicePredictor, save_classifier_card
from medseg.inference.loaded_model import LoadedModel
from medseg.inference.segmentation import ModelCard, Predictor, save_card
from medseg.networks import save_weights
from medseg.networks.classification import SliceClassifier
from medseg.networks.segmentation import UNet

from tests.inference.classification.knowing import card_of

CPU = torch.device("cpu")
CardBuilder = Callable[..., ModelCard]


class Kind(NamedTuple):
    """How a task's runs are made and loaded."""

    predictor: type[LoadedModel[Any, Any]]
    verb: str
    save: Callable[[Path], None]
    build: Callable[[], torch.nn.Module]


@pytest.fixture(params=["segmentation", "classification"])
def kind(request: pytest.FixtureRequest, build_card: CardBuilder) -> Kind:
    if request.param == "segmentation":
        card = build_card()
        return Kind(Predictor, "train", lambda folder: save_card(card, folder), lambda: UNet(card.network))
    other = card_of()
    return Kind(
        SlicePredictor,
        "classify train",
        lambda folder: save_classifier_card(other, folder),
        lambda: SliceClassifier(other.network),
    )


def write_run(run: Path, kind: Kind) -> Path:
    kind.save(run / "model")
    for seed, name in enumerate(("last", "best")):
        torch.manual_seed(seed)
        save_weights(kind.build().state_dict(), run / "model" / f"{name}.safetensors")
    return run


@pytest.mark.parametrize("which", [".", "model"])
@pytest.mark.parametrize("weights", ["last", "best"])
def test_run_and_its_model_folder_are_the_same_model(kind: Kind, tmp_path: Path, which: str, weights: str) -> None:
    loaded = kind.predictor.load(write_run(tmp_path, kind) / which, weights=weights, device=CPU, precision="fp32")
    torch.manual_seed(["last", "best"].index(weights))
    expected = kind.build().state_dict()
    assert type(loaded) is kind.predictor
    assert (loaded.device, loaded.precision, loaded.network.training) == (CPU, "fp32", False)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.network.state_dict().items())


def test_folder_without_a_card_is_refused_with_the_run_to_give(kind: Kind, tmp_path: Path) -> None:
    remedy = rf"\.json must be readable, got.*give a run of medseg {kind.verb}, copied whole, or train again"
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError, match=remedy):
            kind.predictor.load(folder, device=CPU)


def test_missing_weights_are_named(kind: Kind, tmp_path: Path) -> None:
    write_run(tmp_path, kind)
    (tmp_path / "model" / "best.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"best\.safetensors: must be readable as tensors by name"):
        kind.predictor.load(tmp_path, weights="best", device=CPU)


def test_model_folder_is_found_once(tmp_path: Path) -> None:
    assert model_folder(tmp_path) == tmp_path
    (tmp_path / "model").mkdir()
    assert model_folder(tmp_path) == model_folder(model_folder(tmp_path)) == tmp_path / "model"
