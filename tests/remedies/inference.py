"""Remedies of the errors of trained models and the scans that they are given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from medseg.geometry import Geometry
from medseg.inference import CaseInput, Slab, find_inputs, load_record
from medseg.inference.classification import (
    Calibration,
    ClassifierCard,
    Gate,
    SlicePredictor,
    load_classifier_card,
    save_classifier_card,
)
from medseg.inference.classification.quality import check_mask, shared_classes
from medseg.inference.mask_folder import MaskFolder
from medseg.inference.mask_settings import MaskSettings
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, load_card, predict_cases, save_card
from medseg.inference.segmentation.case_stages import CaseStages
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.memory import check_memory
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.networks import NetworkConfig, save_weights
from medseg.networks.classification import SliceClassifier
from medseg.networks.segmentation import UNet, build_network
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Scan
from medseg.scans import write_scan
from medseg.targets import ExclusiveLabels, SliceClasses

from tests.grids import grid
from tests.inference.classification.knowing import CPU, card_of, knowing_predictor
from tests.inference.classification.test_quality import TARGET, organ, scores_of
from tests.remedies.attempts import covers, tries

covers("inference")
Again = Iterator[Callable[[], object]]
GRID = grid((8, 9, 10))


def model_card(**changes: Any) -> ModelCard:
    """The card of a small model of one channel."""
    shape = NetworkConfig(
        spatial_dims=3, in_channels=len(changes.get("channels", "1")), out_channels=2, channels=(2, 4),
        strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    unchanged = ChannelNormalisation(kind="none")
    fields: dict[str, Any] = {
        "medseg_version": "0.1.0", "dataset": "made up 1", "channels": ("MR",), "network": shape,
        "labels": {"background": 0, "liver": 1}, "inference": InferenceConfig(patch_size=(8, 8, 8)),
        "preprocess": PreprocessConfig(axcodes="RAS", normalisation=(unchanged,) * shape.in_channels),
        "trained_on": ("seen",), "manifest_digest": "m" * 64, "plan_digest": "p" * 64,
    }  # fmt: skip
    return ModelCard(**fields | changes)


def model_run(folder: Path, **changes: Any) -> Path:
    """A run of an untrained network."""
    card = model_card(**changes)
    save_card(card, folder / "model")
    save_weights(build_network(card.network).state_dict(), folder / "model" / "last.safetensors")
    return folder


def write_image(path: Path, channels: int = 1) -> Path:
    write_scan(np.random.default_rng(0).normal(size=(channels, *GRID.shape)).astype(np.float32), GRID, path)
    return path


@tries("inference/card.py", "give a run of medseg {}, copied whole, or train again")
def _no_card(place: Path) -> Again:
    run = model_run(place / "run")
    shutil.copytree(run, place / "torn", ignore=shutil.ignore_patterns("model.json"))
    yield lambda: Predictor.load(place / "torn", device=CPU)
    yield lambda: Predictor.load(run, device=CPU)
    shutil.copytree(run, place / "torn", dirs_exist_ok=True)
    yield lambda: Predictor.load(place / "torn", device=CPU)


@tries("inference/card.py", "give a run of medseg {}, copied whole, or train again")
def _card_of_the_other_task(place: Path) -> Again:
    save_classifier_card(card_of(), place / "classifier" / "model")
    yield lambda: load_card(place / "classifier")
    yield lambda: load_card(model_run(place / "run"))
    yield lambda: load_classifier_card(place / "classifier")


@tries(
    "inference/segmentation/predictor.py",
    "load it in Python, by Predictor.load with the function that builds that network as build",
)
def _own_network(place: Path) -> Again:
    run = model_run(place / "run", own_network="mine")
    yield lambda: Predictor.load(run, device=CPU)
    yield lambda: Predictor.load(run, device=CPU, build=UNet)


@tries(
    "inference/segmentation/memory.py",
    "use a smaller part of the scan (the gate of medseg predict), its fast setting, which mirrors nothing, or a "
    "machine with more memory",
)
def _too_large(place: Path) -> Again:
    native, part = Geometry((200, 200, 200), np.eye(4)), Geometry((200, 200, 20), np.eye(4))

    def check(free: float, *, part: Geometry = native, is_fast: bool = False) -> None:
        config = InferenceConfig(patch_size=(96, 96, 96), mirror_axes=(0, 1))
        config = config.faster() if is_fast else config
        box = tuple(range(size) for size in part.shape)
        layout = lay_out_windows(native.shape, config, box=box)  # type: ignore[arg-type]
        with patch("psutil.virtual_memory", return_value=SimpleNamespace(available=int(free))):
            check_memory(layout, native, part, channels=1, classes=30, device=CPU)

    yield lambda: check(2e9)
    yield lambda: check(2e9, part=part)
    yield lambda: check(2e9, is_fast=True)
    yield lambda: check(9e9)


@tries("inference/segmentation/ensemble.py", "predict with each model into a folder of its own")
def _other_labels(place: Path) -> Again:
    runs = [model_run(place / "a"), model_run(place / "b", labels={"background": 0, "kidney": 1})]
    yield lambda: load_models(runs, device=CPU)
    for run in runs:
        yield lambda run=run: load_models([run], device=CPU)  # type: ignore[misc]


def predict(place: Path, inputs: Sequence[CaseInput], *, out: str = "masks", **changes: Any) -> None:
    """Predict each case with an untrained network, but let its error through."""
    predictor = Predictor.load(model_run(place / "run", **changes), device=CPU)
    (place / out).mkdir(exist_ok=True)
    folder = MaskFolder(place / out, MaskSettings.of(predictor.identities, predictor.labels, {}))
    stages = CaseStages(predictor, folder)
    for case in inputs:
        stages.write(case, stages.draw(case, stages.read(case)))


@tries("inference/segmentation/case_stages.py", "rename the scan or the case")
def _name_of_the_record(place: Path) -> Again:
    image = write_image(place / "predictions.nii.gz")
    yield lambda: predict(place, find_inputs([image], channels=("MR",)).cases)
    yield lambda: predict(place, find_inputs([image.rename(place / "a.nii.gz")], channels=("MR",)).cases)
    yield lambda: predict(place, [CaseInput("b", (place / "a.nii.gz",))])


@tries("inference/segmentation/case_stages.py", "shorten the name of the scan or the case")
def _long_name(place: Path) -> Again:
    image = write_image(place / f"{'a' * 251}.nii")
    yield lambda: predict(place, find_inputs([image], channels=("MR",)).cases)
    yield lambda: predict(place, find_inputs([image.rename(place / f"{'a' * 245}.nii")], channels=("MR",)).cases)
    yield lambda: predict(place, [CaseInput("b", (place / f"{'a' * 245}.nii",))])


@tries("inference/record.py", "predict again, into another folder")
def _torn_record(place: Path) -> Again:
    inputs = [CaseInput("a", (write_image(place / "a.nii.gz"),))]
    predictor = Predictor.load(model_run(place / "run"), device=CPU)
    predict_cases(predictor, inputs, place / "masks")
    (place / "masks" / "predictions.json").write_text("{")
    yield lambda: load_record(place / "masks")
    predict_cases(predictor, inputs, place / "again")
    yield lambda: load_record(place / "again")


@tries("inference/slab.py", "give slice numbers of the scan's own array")
def _negative(place: Path) -> Again:
    yield lambda: Slab(2, -3, -1)
    yield lambda: Slab(2, 7, 9)


@tries("inference/classification/gate.py", "train it on the model's labels")
def _unknown_organ(place: Path) -> Again:
    labels = ("background", "liver", "kidney")
    yield lambda: Gate.of(card_of(), sensitivity=0.9, labels=labels)
    trained = card_of(targets=SliceClasses(classes=("liver", "kidney")))
    yield lambda: Gate.of(trained, sensitivity=0.9, labels=labels)


@tries("inference/classification/quality.py", "train it on the model's labels")
def _unknown_organs(place: Path) -> Again:
    target = ExclusiveLabels(labels={"background": 0, "kidney": 1})
    yield lambda: shared_classes(card_of(), target)
    yield lambda: shared_classes(card_of(targets=SliceClasses(classes=("kidney",))), target)


@tries(
    "inference/classification/card.py",
    "train it to its end (resume it if it stopped), with a validation fold and labels per slice",
)
def _no_thresholds(place: Path) -> Again:
    stopped = card_of(calibration=Calibration())
    yield lambda: Gate.of(stopped, sensitivity=0.9, labels=("liver",))
    yield lambda: Gate.of(card_of(), sensitivity=0.9, labels=("liver",))


@tries("inference/classification/disagreement.py", "compare the mask with the classification of the same scan and axis")
def _other_axis(place: Path) -> Again:
    def check(axis: int) -> object:
        scores = scores_of(organ(), axis=axis)
        return check_mask(organ(), scores, card_of(), target=TARGET, pixel_mm2=1.0)

    crooked = scores_of(organ()[..., :-1])
    yield lambda: check_mask(organ(), crooked, card_of(), target=TARGET, pixel_mm2=1.0)
    for axis in range(3):
        yield lambda axis=axis: check(axis)  # type: ignore[misc]


@tries("inference/classification/predictor.py", "check the scan's intensities, or train the classifier again")
def _overflow(place: Path) -> Again:
    geometry = grid((32, 32, 3))
    ones, card = np.ones((1, *geometry.shape), np.float32), card_of()
    network = random_classifier(card)
    yield lambda: knowing_predictor(card, network).scores(Scan(ones * 1e38, geometry), case_id="a")
    yield lambda: knowing_predictor(card, network).scores(Scan(ones, geometry), case_id="a")


@tries("inference/classification/predictor.py", "check the scan's intensities, or train the classifier again")
def _diverged(place: Path) -> Again:
    geometry, card = grid((32, 32, 3)), card_of()
    scan = Scan(np.ones((1, *geometry.shape), np.float32), geometry)
    network = random_classifier(card)
    torch.nn.init.constant_(network.head.bias, torch.nan)
    yield lambda: SlicePredictor(network, card, device=CPU, precision="fp32").scores(scan, case_id="a")
    yield lambda: knowing_predictor(card, random_classifier(card)).scores(scan, case_id="a")


def random_classifier(card: ClassifierCard) -> SliceClassifier:
    torch.manual_seed(0)
    return SliceClassifier(card.network)


@tries("inference/segmentation/quality/checker.py", "check the scan's intensities, or train the network again")
def _network_of_nan(place: Path) -> Again:
    case = CaseInput("a", (write_image(place / "a.nii.gz"),))
    good, spoilt = (Predictor.load(model_run(place / "run"), device=CPU) for _ in range(2))
    for parameter in spoilt.network.parameters():
        torch.nn.init.constant_(parameter, torch.nan)

    def draw(model: Predictor) -> object:
        settings = MaskSettings.of(model.identities, model.labels, {})
        with MaskFolder.opened(place / "masks", settings) as folder:
            stages = CaseStages(model, folder)
            return stages.draw(case, stages.read(case))

    yield lambda: draw(spoilt)
    yield lambda: draw(good)
