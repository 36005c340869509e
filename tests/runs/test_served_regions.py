"""Programs that are served by a model of regions get the masks of predict, and the values that make up each region."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import medseg
import mlflow
import numpy as np
import pandas
import pytest
import torch
from medseg.inference.sidecar import Sidecar, load_sidecar
from medseg.networks import NetworkConfig
from medseg.runs.segmentation.package import PackageSettings, package_models
from medseg.scans import read_label

from tests.remedies.inference import model_card, model_run, write_image
from tests.runs.serving.running import Client, running

LABELS = {"background": 0, "rim": 1, "core only": 2, "enhancing part": 3}
REGIONS = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
LISTED = {name: list(values) for name, values in REGIONS.items()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(11)  # weights that draw with little confidence
    network = NetworkConfig.model_validate(model_card().network.model_dump() | {"out_channels": len(REGIONS)})
    folder = tmp_path_factory.mktemp("regions") / "run"
    return model_run(folder, labels=LABELS, regions=REGIONS, regions_order=(1, 2, 3), network=network)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image(tmp_path_factory.mktemp("scan") / "case_7.nii.gz")


@pytest.fixture(scope="module")
def predicted(run: Path, scan: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Sidecar]:
    """The file of the mask that predict draws, and its record."""
    out = tmp_path_factory.mktemp("masks")
    medseg.predict(run, [scan], out=out, device="cpu")
    values, _ = read_label(out / "case_7.nii.gz", case_id="case_7")
    assert len(np.unique(values)) > 1
    sidecar = load_sidecar(out / "case_7.json")
    assert sidecar is not None
    assert sidecar.regions == REGIONS
    return (out / "case_7.nii.gz").read_bytes(), sidecar


@pytest.fixture(scope="module")
def client(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running({"regions": [run]}, tmp_path_factory.mktemp("served") / "work") as client:
        yield client


def test_description_of_a_served_model_holds_its_regions(client: Client) -> None:
    described = client.ask("GET", "/models/regions").json
    assert (described["regions"], described["labels"]) == (LISTED, LABELS)


def test_answer_of_a_server_holds_the_mask_of_predict_and_the_regions(
    client: Client, scan: Path, predicted: tuple[bytes, Sidecar]
) -> None:
    mask, sidecar = predicted
    answer = client.predict(scan.read_bytes(), "?name=case_7.nii.gz&form=json").json
    assert base64.b64decode(answer["mask_base64"]) == mask
    assert (answer["regions"], answer["volume_ml"]) == (LISTED, sidecar.volume_ml)


def test_mlflow_model_answers_with_the_mask_of_predict_and_the_regions(
    run: Path, scan: Path, predicted: tuple[bytes, Sidecar], tmp_path: Path
) -> None:
    package_models(run, PackageSettings(out=tmp_path / "package", forms=("mlflow",)))
    model = mlflow.pyfunc.load_model(str(tmp_path / "package" / "mlflow"))
    assert "regions" in model.metadata.signature.outputs.input_names()
    mask, sidecar = predicted
    (row,) = model.predict(pandas.DataFrame({"scan": [scan.read_bytes()], "name": [scan.name]})).to_dict("records")
    assert base64.b64decode(row["mask"]) == mask
    assert (row["regions"], row["volumes_ml"]) == (LISTED, sidecar.volume_ml)


def test_onnx_network_decides_as_predict_does(run: Path, scan: Path, tmp_path: Path) -> None:
    """A window of the scan's own size, whose logits are above 0 where a region is found."""
    onnxruntime = pytest.importorskip("onnxruntime")
    package_models(run, PackageSettings(out=tmp_path / "package", forms=("onnx",)))
    record = json.loads((tmp_path / "package" / "onnx" / "onnx.json").read_text())
    assert list(record["regions"].items()) == list(LISTED.items())
    assert record["agreement"]["same_decisions"] == 1
    session = onnxruntime.InferenceSession(str(tmp_path / "package" / "onnx" / record["file"]))
    window = np.zeros((1, 1, *record["patch_size"]), np.float32)
    assert session.run([record["output"]], {record["input"]: window})[0].shape[1] == len(REGIONS)
