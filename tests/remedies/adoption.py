"""Remedies of the errors of adopting nnU-Net models."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from medseg.inference.nnunet import load_adopted
from medseg.inference.segmentation import load_card
from medseg.inference.segmentation.load_model import load_model
from medseg.preprocess.nnunet import NnunetScheme
from medseg.preprocess.nnunet.normalise import normalise
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model
from medseg.runs.segmentation.package import PackageSettings, package_models

from tests.inference.nnunet.folders import Made, checkpoint_of, write_folder
from tests.inference.nnunet.models import CASCADE, write_model
from tests.remedies.attempts import by_a_person, tries
from tests.remedies.inference import model_run
from tests.runs.test_adopt import FAST, edit, edit_checkpoint, edit_configuration

Again = Iterator[Callable[[], object]]
OF_TRAINING = "take the dataset.json that the model was trained with"
ONE_TRAINING = "take dataset.json and checkpoint from one and the same training"

by_a_person(
    "only nnU-Net's own parts can be adopted",
    "inference/nnunet/source_network.py",
    "adopt models with nnU-Net's own networks; others need nnU-Net itself",
)
by_a_person(
    "only nnU-Net's own parts can be adopted",
    "inference/nnunet/source_plans.py",
    "adopt models with nnU-Net's own preprocessing; others need nnU-Net itself",
)


def adopting(folder: Path, run: str, **choices: Any) -> Callable[[], object]:
    return lambda: adopt_model(folder, folder.parent / run, replace(FAST, **choices))


def again(place: Path, spoil: Callable[[Path], object], made: Made | None = None) -> Again:
    """A folder that is spoilt, and the same as the training left it."""
    folder = write_folder(place / "model", made or Made())
    shutil.copytree(folder, place / "whole")
    spoil(folder)
    yield adopting(folder, "spoilt")
    yield adopting(place / "whole", "run")


@tries(
    "inference/nnunet/source_folder.py",
    "give the folder of a training of nnU-Net v2, which holds plans.json, dataset.json and fold_0",
)
def _no_plans(place: Path) -> Again:
    return again(place, lambda folder: (folder / "plans.json").unlink())


@tries("inference/nnunet/source_folder.py", "give folds and a checkpoint that it has, or copy the folder again, whole")
def _no_such_fold(place: Path) -> Again:
    folder = write_folder(place / "model", Made())
    yield adopting(folder, "spoilt", folds=("3",), checkpoint="checkpoint_best.pth")
    yield adopting(folder, "run", folds=("0",))
    shutil.copytree(folder / "fold_0", folder / "fold_3")
    (folder / "fold_3" / "checkpoint_final.pth").rename(folder / "fold_3" / "checkpoint_best.pth")
    yield adopting(folder, "copied", folds=("3",), checkpoint="checkpoint_best.pth")


@tries("inference/nnunet/source_labels.py", "add the names that the model was trained with")
def _no_channels(place: Path) -> Again:
    folder = write_folder(place / "model", Made())
    edit(folder, "dataset.json", lambda dataset: dataset.pop("channel_names"))
    yield adopting(folder, "spoilt")
    edit(folder, "dataset.json", lambda dataset: dataset.update(channel_names={"0": "CT"}))
    yield adopting(folder, "run")


@tries("inference/nnunet/source_labels.py", OF_TRAINING)
def _no_labels(place: Path) -> Again:
    return again(place, lambda folder: edit(folder, "dataset.json", lambda dataset: dataset.pop("labels")))


@tries("inference/nnunet/source_card.py", ONE_TRAINING)
def _other_labels(place: Path) -> Again:
    return again(place, lambda folder: edit(folder, "dataset.json", lambda dataset: dataset["labels"].pop("spleen")))


@tries("inference/nnunet/source_network.py", "take the plans.json of the training")
def _impossible_network(place: Path) -> Again:
    def spoil(plans: dict[str, Any]) -> None:
        settings = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
        settings["kernel_sizes"] = [[2, 2, 2], [3, 3, 3]]

    return again(place, lambda folder: edit(folder, "plans.json", spoil))


@tries("inference/nnunet/source_plans.py", "take the plans.json of the training")
def _no_spacing(place: Path) -> Again:
    return again(place, lambda folder: edit_configuration(folder, spacing=[]))


@tries("inference/nnunet/source_plans.py", "take plans.json and checkpoint from one and the same training")
def _other_configuration(place: Path) -> Again:
    return again(place, lambda folder: edit_checkpoint(folder, init_args={"configuration": "2d"}))


@tries("inference/nnunet/source_plans.py", "take plans.json and dataset.json from one and the same training")
def _other_channels(place: Path) -> Again:
    return again(place, lambda folder: edit_configuration(folder, normalization_schemes=["x", "y"]))


@tries(
    "inference/nnunet/source_trainer.py",
    "look at the class: if it changes the training alone, adopt the model with its trainer accepted",
)
def _own_trainer(place: Path) -> Again:
    folder = write_folder(place / "model", Made())
    edit_checkpoint(folder, trainer_name="nnUNetTrainerMine")
    yield adopting(folder, "spoilt")
    yield adopting(folder, "run", accept_trainer=True)


@tries("inference/nnunet/model.py", "copy the whole run again, or adopt the model again")
def _exchanged_weights(place: Path) -> Again:
    folder, other = write_folder(place / "model", Made()), write_folder(place / "other", Made(seed=1))
    runs = [adopt_model(source, place / f"run_{source.name}", FAST).folder for source in (folder, other)]
    shutil.copytree(runs[0], place / "torn")
    shutil.copyfile(runs[1] / "model/fold_0.safetensors", place / "torn/model/fold_0.safetensors")
    yield lambda: load_adopted(place / "torn", device=torch.device("cpu"))
    yield lambda: load_adopted(runs[0], device=torch.device("cpu"))
    yield lambda: adopt_model(folder, place / "adopted", AdoptSettings(precision="fp32"))


@tries(
    "inference/segmentation/card.py",
    "give a run of medseg train; an adopted model draws masks, and knows nothing of its training",
)
def _adopted_for_trained(place: Path) -> Again:
    adopted = adopt_model(write_folder(place / "model", Made()), place / "adopted", FAST).folder
    yield lambda: load_card(adopted)
    yield lambda: load_card(model_run(place / "trained"))
    yield lambda: load_model(adopted, device=torch.device("cpu"))


@tries("inference/segmentation/load_model.py", "take its last weights, as predict does if none are chosen")
def _best_of_adopted(place: Path) -> Again:
    adopted = adopt_model(write_folder(place / "model", Made()), place / "adopted", FAST).folder
    yield lambda: load_model(adopted, weights="best", device=torch.device("cpu"))
    yield lambda: load_model(adopted, device=torch.device("cpu"))


@tries("networks/segmentation/nnunet_checkpoint.py", "copy the model folder again, whole")
def _torn_checkpoint(place: Path) -> Again:
    return again(place, lambda folder: (folder / "fold_0/checkpoint_final.pth").write_bytes(b"torn"))


@tries(
    "networks/segmentation/nnunet_checkpoint.py",
    "take a checkpoint that nnU-Net itself wrote, from a source that you trust",
)
def _objects(place: Path) -> Again:
    return again(place, lambda folder: edit_checkpoint(folder, logging=Path("anything")))


@tries(
    "networks/segmentation/nnunet_checkpoint.py",
    "give the folder of a training of nnU-Net v2; models of version 1 must be trained again",
)
def _version_1(place: Path) -> Again:
    return again(place, lambda folder: torch.save({"state_dict": {}}, folder / "fold_0/checkpoint_final.pth"))


@tries(
    "networks/segmentation/nnunet_checkpoint.py",
    "take plans.json, dataset.json and checkpoint from one and the same training; a trainer class that builds a "
    "network of its own cannot be adopted",
)
def _other_weights(place: Path) -> Again:
    other = checkpoint_of(Made(is_residual=True), "3d_fullres")["network_weights"]
    return again(place, lambda folder: edit_checkpoint(folder, network_weights=other))


@tries("runs/segmentation/adopt.py", "copy that folder too, or say where it is")
def _no_first_stage(place: Path) -> Again:
    folder = write_model(CASCADE, place)
    first = folder.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres")
    first.rename(place / "elsewhere")
    yield adopting(folder, "spoilt")
    yield adopting(folder, "said", previous=place / "elsewhere")
    shutil.copytree(place / "elsewhere", first)
    yield adopting(folder, "copied")


@tries("runs/segmentation/adopt.py", "adopt the folds of one configuration")
def _two_configurations(place: Path) -> Again:
    folder = write_folder(place / "model", Made(folds=("0", "1")))
    edit(folder, "plans.json", lambda plans: plans["configurations"].update(other={"inherits_from": "3d_fullres"}))
    torch.save(checkpoint_of(Made(), "other"), folder / "fold_1" / "checkpoint_final.pth")
    yield adopting(folder, "spoilt")
    yield adopting(folder, "run", folds=("1",))


@tries("runs/segmentation/package_models.py", "take the form mlflow or onnx")
def _bundle_of_an_adopted_model(place: Path) -> Again:
    run = adopt_model(write_model("slices", place), place / "run", FAST).folder
    packaged = partial(PackageSettings, precision="fp32", device="cpu")
    yield lambda: package_models(run, packaged(out=place / "bundle", forms=("bundle",)))
    assert not (place / "bundle").exists()
    yield lambda: package_models(run, packaged(out=place / "mlflow", forms=("mlflow",)))
    yield lambda: package_models(run, packaged(out=place / "onnx", forms=("onnx",)))


@tries("preprocess/nnunet/normalise.py", "give a picture with 8 bits per colour")
def _deep_picture(_: Path) -> Again:
    colours = NnunetScheme(kind="rgb_to_01")
    picture = np.array([[[0, 65535]]])
    yield lambda: normalise(picture, colours)
    yield lambda: normalise(picture // 257, colours)
