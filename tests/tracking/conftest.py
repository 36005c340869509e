"""One MLflow store for all tests of tracking; making its tables takes seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, ModelCard, save_card
from medseg.networks import NetworkConfig, save_weights
from medseg.networks.segmentation import UNet
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.scans import write_scan
from medseg.tracking import TrackedRun


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the store, which is the working folder of the tests."""
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(autouse=True)
def working_folder(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Artefacts of a SQLite store go to the working folder."""
    monkeypatch.chdir(store)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def uri(store: Path) -> str:
    return f"sqlite:///{store}/mlflow.db"


@pytest.fixture
def client(uri: str) -> Any:
    """MLflow's own client, to see what arrived."""
    import mlflow

    return mlflow.MlflowClient(tracking_uri=uri)


@pytest.fixture
def run(uri: str) -> TrackedRun:
    return TrackedRun.start(experiment="livers", name="train fold 0", tracking_uri=uri, tags={"medseg.fold": "0"})


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return box_model(tmp_path)


def box_model(place: Path, *, strength: float = 20.0) -> Path:
    """The folder of a model that sees a bright box: class 1 gets the logit 20 × intensity − 10, or as strong."""
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=2, channels=(1,), strides=((1, 1, 1),), kernels=((1, 1, 1),),
        blocks=(1,), decoder_blocks=(), block="plain", norm="none", activation="relu",
    )  # fmt: skip
    network = UNet(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 if parameter.ndim > 1 else 0.0)
        head = network.decoder.heads[0]
        head.weight[:, 0, 0, 0, 0] = torch.tensor([0.0, strength])
        head.bias.copy_(torch.tensor([0.0, -strength / 2]))
    card = ModelCard(
        medseg_version="0.1.0", dataset="boxes 1", channels=("MR",), labels={"background": 0, "box": 5}, network=config,
        preprocess=PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),)),
        inference=InferenceConfig(patch_size=(8, 8, 8)), trained_on=(), manifest_digest="m", plan_digest="p",
    )  # fmt: skip
    save_card(card, place / "model")
    save_weights(network.state_dict(), place / "model" / "last.safetensors")
    return place / "model"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    array = np.zeros((1, 9, 12, 7), np.float32)
    array[0, 2:5, 3:9, 1:4] = 1.0
    path = tmp_path / "scans" / "box.nii.gz"
    write_scan(array, Geometry((9, 12, 7), np.diag([-1.0, 2.0, -3.0, 1.0])), path)
    return path
