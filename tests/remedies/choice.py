"""Remedies of the errors of folds at once, of masks out of fold, and of a choice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from medseg.inference.segmentation import Predictor
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.out_of_fold import OutOfFold
from medseg.networks.segmentation import UNet
from medseg.runs.folds import _check_parallel
from medseg.runs.segmentation.choice import ChooseSettings, choose_model
from medseg.runs.segmentation.chosen_model import chosen_folders
from medseg.runs.segmentation.initialise import load_earlier_card
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.segmentation.predict import PredictSettings, predict_run
from medseg.runs.settings import TrainingSettings
from medseg.runs.shared_budget import SharedBudget
from medseg.runs.tracking import Tracking
from medseg.runs.training_processes import check_sendable
from medseg.training.segmentation import SegmentationParts

from tests.remedies.attempts import tried_elsewhere, tries
from tests.remedies.inference import model_run
from tests.runs.fold_runs import levels, patients, write_dataset, write_folds

Again = Iterator[Callable[[], object]]
CPU = torch.device("cpu")


def write_data(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    return write_dataset(folder, patients(count))


def choice(data: Path, out: Path, *folds: Path, **choices: Any) -> Callable[[], object]:
    settings = ChooseSettings(out=out, network=levels, device="cpu", tracking=Tracking(is_on=False), **choices)
    return lambda: choose_model(data, folds, settings)


@tries(
    "inference/segmentation/out_of_fold.py",
    "resume the training of the folds if one has no model, or predict it with all models, as predict does if nothing "
    "else is asked for",
)
def _seen_by_all(place: Path) -> Again:
    seen, unseen = (
        Predictor.load(model_run(place / name, trained_on=(name,)), device=CPU) for name in ("one", "other")
    )
    yield lambda: OutOfFold([seen], {}).for_case("one")
    yield lambda: OutOfFold([seen, unseen], {}).for_case("one")  # with the fold that had no model
    yield lambda: Ensemble([seen, unseen])


@tries("runs/segmentation/predict.py", "give the dataset of the training alone")
def _scans_out_of_fold(place: Path) -> Again:
    data = write_data(place / "data")
    folds = write_folds(place / "folds", data)
    settings = PredictSettings(out=place / "masks", out_of_fold=True, network=levels, device="cpu")
    yield lambda: predict_run(folds, [data / "c00.nii.gz"], settings)
    yield lambda: predict_run(folds, [data], settings)


@tries("runs/settings.py", "give the fold all-folds")
def _parallel_fold(place: Path) -> Again:
    yield lambda: TrainingSettings(out=place, fold="0", parallel=2)
    yield lambda: TrainingSettings(out=place, fold="all-folds", parallel=2)


@tries("runs/folds.py", "train fewer folds at once, or on the device cpu")
def _few_gpus(place: Path) -> Again:
    def check(**choices: Any) -> None:
        settings = TrainingSettings(out=place, fold="all-folds", **choices)
        device = torch.device("cpu" if choices.get("device") == "cpu" else "cuda")
        with (
            patch("medseg.runs.folds.torch_device", return_value=device),
            patch("torch.cuda.device_count", return_value=2),
        ):
            _check_parallel(SegmentationJob(), settings)

    yield lambda: check(parallel=3)
    yield lambda: check(parallel=2)
    yield lambda: check(parallel=3, device="cpu")


@tries("runs/shared_budget.py", "give more, or a length in epochs")
def _little_budget(place: Path) -> Again:
    def check(**length: Any) -> None:
        settings = TrainingSettings(out=place, fold="all-folds", **length)
        shared = SharedBudget.of(settings, 3)
        if shared is not None:
            shared.check()

    yield lambda: check(budget="20s")
    yield lambda: check(budget="30s")
    yield lambda: check(epochs=1)


@tries(
    "runs/training_processes.py",
    "define them in a module, not in a function or a notebook, or train one fold at a time",
)
def _local_network(place: Path) -> Again:
    yield lambda: check_sendable(SegmentationJob(SegmentationParts(network=lambda config: UNet(config))))
    yield lambda: check_sendable(SegmentationJob(SegmentationParts(network=UNet)))


tried_elsewhere(
    "tests/runs/test_folds_at_once.py",
    "resumed",
    "runs/training_processes.py",
    "resume the training; with fewer folds at once, if memory was short",
)


@tries("runs/segmentation/choice/candidates.py", "give one or several")
def _no_training(place: Path) -> Again:
    data = write_data(place / "data", 6)
    yield choice(data, place / "out")
    yield choice(data, place / "out", write_folds(place / "folds", data))


@tries("runs/segmentation/choice/candidates.py", "give other names")
def _names_twice(place: Path) -> Again:
    data = write_data(place / "data", 6)
    folds = [write_folds(place / name, data, shifts=(shift,) * 3) for name, shift in (("a", 0.0), ("b", 0.1))]
    yield choice(data, place / "out", *folds, names=["one", "one"])
    yield choice(data, place / "out", *folds, names=["one", "two"])


@tries("runs/segmentation/choice/candidates.py", "train with the fold all-folds")
def _single_run(place: Path) -> Again:
    data = write_data(place / "data")
    folds = write_folds(place / "folds", data)
    yield choice(data, place / "out", folds / "fold_0")
    yield choice(data, place / "out", folds)


@tries("runs/segmentation/choice/candidates.py", "resume the training of the folds")
def _missing_fold(place: Path) -> Again:
    data = write_data(place / "data")
    folds = write_folds(place / "folds", data)
    shutil.move(folds / "fold_1" / "model", place / "model")
    yield choice(data, place / "out", folds)
    shutil.move(place / "model", folds / "fold_1" / "model")  # as the training makes it
    yield choice(data, place / "out", folds)


@tries("runs/segmentation/choice/candidates.py", "give the dataset of the training, or train the folds again")
def _other_dataset(place: Path) -> Again:
    data, other = write_data(place / "data"), write_data(place / "other", 6)
    folds = write_folds(place / "folds", data)
    yield choice(other, place / "out", folds)
    yield choice(data, place / "out", folds)
    yield choice(other, place / "again", write_folds(place / "new", other))


@tries("runs/segmentation/choice/choose.py", "predict and evaluate one training alone, to see what is wrong with it")
def _no_case(place: Path) -> Again:
    data = write_data(place / "data")
    folds = write_folds(place / "folds", data)
    for label in data.glob("*_label.nii.gz"):
        label.rename(label.with_suffix(".hidden"))
    yield choice(data, place / "out", folds)
    for label in data.glob("*.hidden"):
        label.rename(label.with_suffix(".gz"))
    yield choice(data, place / "out", folds)


@tries("runs/segmentation/model_paths.py", "give one of them, such as {}")
def _several_networks(place: Path) -> Again:
    data = write_data(place / "data")
    choice(data, place / "chosen", write_folds(place / "folds", data))()
    yield lambda: load_earlier_card(place / "chosen")
    yield lambda: load_earlier_card(place / "chosen" / "models" / "folds_fold_0")


@tries("runs/segmentation/chosen_model.py", "copy the whole folder again, or make the choice again")
def _torn_choice(place: Path) -> Again:
    data = write_data(place / "data")
    folds = write_folds(place / "folds", data)
    choice(data, place / "chosen", folds)()
    shutil.copytree(place / "chosen", place / "torn")
    shutil.rmtree(place / "torn" / "models" / "folds_fold_1")
    yield lambda: chosen_folders(place / "torn")
    shutil.copytree(place / "chosen", place / "torn", dirs_exist_ok=True)
    yield lambda: chosen_folders(place / "torn")
    choice(data, place / "again", folds)()
    yield lambda: chosen_folders(place / "again")
