"""A network by name is trained, delivered and loaded again without the user giving anything more."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Literal

import medseg
import numpy as np
import pytest
from medseg.errors import ConfigError
from medseg.inference.segmentation import load_card
from medseg.networks import NetworkConfig
from medseg.planning import NetworkName, load_plan
from medseg.tracking import model_flavour
from PIL import Image

from tests.conftest import Medseg
from tests.networks.segmentation.small_nets import settings_of, small_net
from tests.remedies.runs import SMALL, write_patients

PATCHES = {"unet": (16, 16, 16), "dynunet": (16, 16, 16), "segresnet": (16, 16, 16), "swinunetr": (64, 32, 32)}


def changes(kind: str, *, spatial_dims: Literal[2, 3]) -> dict[str, Any]:
    """Settings under which a network of a kind is small, and its training two steps long."""
    patch = PATCHES[kind] if spatial_dims == 3 else (*PATCHES[kind][:2], 1)
    sizes = {"patch_size": patch, "batch_size": 1}
    network = settings_of(kind, spatial_dims=spatial_dims)
    if kind == "dynunet":
        network |= {"deep_supervision": True, "deep_supr_num": 1}
    return {
        "network": network,
        "training": {**sizes, "patches_per_case": 2, "validations": 1},
        "inference": sizes | {"overlap": 0.0},
    }


def write_pictures(folder: Path) -> Path:
    """Two pictures with a bright box each, in two folds."""
    entries = []
    for n in range(2):
        label = np.zeros((40, 48), np.uint8)
        label[8:20, 10:30] = 1
        image = np.random.default_rng(n).normal(90, 20, label.shape) + 60 * label
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"c{n}.png")
        Image.fromarray(label).save(folder / f"c{n}_label.png")
        files = {"image": f"c{n}.png", "label": f"c{n}_label.png"}
        entries.append({"case_id": f"c{n}", "patient_id": f"p{n}", "fold": n, **files})
    content = {"name": "boxes", "channel_names": {"0": "light"}, "labels": {"background": 0, "box": 1}}
    (folder / "dataset.json").write_text(json.dumps({**content, "training": entries}))
    return folder


def train(dataset: Path, **settings: Any) -> medseg.TrainResult:
    shared: dict[str, Any] = {"store": dataset / "store", "device": "cpu", "tracking": False, "workers": 1}
    return medseg.train(dataset, **{"out": dataset / "run", "epochs": 1} | shared | settings)


@pytest.mark.parametrize("name", ["dynunet", "segresnet", "swinunetr"])
def test_volumes_are_learned_drawn_and_served(tmp_path: Path, name: NetworkName) -> None:
    dataset = write_patients(tmp_path)
    run = train(dataset, network=name, config=changes(name, spatial_dims=3))
    assert run.steps == 2
    expected = small_net(name, out_channels=2)
    if name == "dynunet":
        expected = expected.model_copy(update={"deep_supervision": True})
    assert load_plan(run.folder / "plan.yaml").network == load_card(run.folder).network == expected
    drawn = medseg.predict(run.folder, dataset / "c1.nii.gz", out=tmp_path / "masks", device="cpu")
    assert [item.mask_path.is_file() for item in drawn.predictions] == [True]
    served = model_flavour._load_pyfunc(str(run.folder / "model"))
    (answer,) = served.predict([{"scan": (dataset / "c1.nii.gz").read_bytes(), "name": "c1.nii.gz"}])["mask"]
    assert base64.b64decode(answer) == drawn.predictions[0].mask_path.read_bytes()


@pytest.mark.parametrize("name", ["unet_2015", "dynunet", "segresnet", "swinunetr"])
def test_pictures_are_learned_and_drawn(tmp_path: Path, name: NetworkName) -> None:
    dataset = write_pictures(tmp_path)
    config = changes("unet" if name == "unet_2015" else name, spatial_dims=2)
    if name == "unet_2015":
        config["network"] = {"channels": [2, 2, 2, 4, 4]}
        config["training"]["patch_size"] = config["inference"]["patch_size"] = [32, 16, 1]
    run = train(dataset, network=name, config=config)
    network = load_card(run.folder).network
    assert network.spatial_dims == 2
    if name == "unet_2015":
        assert isinstance(network, NetworkConfig)
        assert (network.norm, network.downsampling, network.block) == ("none", "maxpool", "plain")
    drawn = medseg.predict(run.folder, dataset / "c1.png", out=tmp_path / "masks", device="cpu")
    assert [item.mask_path.is_file() for item in drawn.predictions] == [True]


def test_original_unet_is_refused_for_volumes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="as it is 2D, got volumes; choose unet, dynunet, segresnet or swinunetr"):
        train(write_patients(tmp_path), network="unet_2015")


def test_run_is_resumed_with_its_own_network_named_again_or_not(tmp_path: Path) -> None:
    dataset = write_patients(tmp_path)
    train(dataset, network="segresnet", config=changes("segresnet", spatial_dims=3))
    assert train(dataset, epochs=2, resume=True).steps == 4
    assert train(dataset, epochs=3, resume=True, network="segresnet").steps == 6
    with pytest.raises(ConfigError, match="a plan holds its network, here segresnet, got the name dynunet too"):
        train(dataset, epochs=4, resume=True, network="dynunet")


def test_command_takes_a_name_and_knows_them_all(medseg: Medseg, tmp_path: Path) -> None:
    dataset = write_patients(tmp_path)
    (tmp_path / "small.yaml").write_text(json.dumps({key: SMALL[key] for key in ("training", "inference")}))
    shared = (dataset, "--epochs", 1, "--store", tmp_path / "store", "--no-tracking", "--device", "cpu")
    config = ("--config", tmp_path / "small.yaml")
    outcome = medseg("train", *shared, *config, "--out", tmp_path / "run", "--network", "segresnet")
    assert outcome.code == 0, outcome.err
    assert load_plan(tmp_path / "run" / "plan.yaml").network.kind == "segresnet"
    asked = ("--epochs", 1, "--store", tmp_path / "store", "--device", "cpu", "--network", "segresnet")
    outcome = medseg("plan", dataset, *asked, "--out", tmp_path / "plan.yaml")
    assert outcome.code == 0, outcome.err
    assert "4.7 M parameters, 4 stages of 16 to 128 channels" in outcome.out
    assert load_plan(tmp_path / "plan.yaml").network == load_card(tmp_path / "run").network
    outcome = medseg("train", *shared, "--out", tmp_path / "other", "--network", "vnet")
    assert outcome.code == 2
    assert "'unet', 'unet_2015', 'dynunet', 'segresnet', 'swinunetr'" in outcome.err
