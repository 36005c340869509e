"""Remedies of the errors of trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from medseg.cohort import SERIAL
from medseg.manifest import load_manifest
from medseg.networks.segmentation import UNet
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.targets import ExclusiveLabels, Regions, SliceClasses, WrittenRegions
from medseg.training import ClockBudget
from medseg.training.checkpoint import checkpoint_facts
from medseg.training.classification import ClassificationTask
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationParts, SegmentationTask, TrainingConfig
from medseg.training.segmentation.loss import loss_for

from tests.networks.segmentation.small_nets import small_net
from tests.preprocess.classification.scans import slice_config
from tests.remedies.attempts import covers, tries
from tests.remedies.inference import model_card
from tests.remedies.runs import SMALL, train, write_patients
from tests.training.classification.toys import SLICES, inputs_of, known, prepare, toy_case, toy_truth
from tests.training.test_checkpoint import load, save, trainee
from tests.training.toy_task import ToyTask

covers("training")
Again = Iterator[Callable[[], object]]


def prepared(place: Path) -> tuple[StoredCase, ...]:
    """Two patients in a store."""
    write_patients(place)
    manifest, root = load_manifest(place)
    config = PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),))
    cases, _ = prepare_cases(manifest.cases, manifest, root, config=config, store=place / "store", executor=SERIAL)
    return cases


@tries("training/segmentation/task.py", "give cases that were prepared")
def _no_case(place: Path) -> Again:
    card = model_card()
    inputs = SegmentationInputs(
        training=(), validation=(), target=card.target, network=card.network, inference=card.inference,
        config=TrainingConfig(patch_size=(8, 8, 8)), device=torch.device("cpu"), folder=place / "run",
    )  # fmt: skip
    yield lambda: SegmentationTask(inputs)
    yield lambda: SegmentationTask(replace(inputs, training=prepared(place)))


@tries("training/segmentation/parts.py", "choose another name")
def _name_of_a_metric(place: Path) -> Again:
    def metric(*arguments: Any, **settings: Any) -> dict[str, float]:
        return {}

    yield lambda: SegmentationParts(metrics={"dice": metric})
    yield lambda: SegmentationParts(metrics={"my dice": metric})


@tries("training/segmentation/parts.py", "plan without naming a network, or leave your own out")
def _own_network_for_another_s_settings(place: Path) -> Again:
    mine = SegmentationParts(network=UNet)
    yield lambda: mine.build(small_net("dynunet"))
    yield lambda: mine.build(small_net("unet"))
    yield lambda: SegmentationParts().build(small_net("dynunet"))


@tries("training/segmentation/loss.py", "train on exclusive labels or on regions")
def _written_regions(place: Path) -> Again:
    labels = {"background": 0, "liver": 1}
    yield lambda: loss_for(WrittenRegions(labels=labels, regions=((1,),), order=(1,)))
    yield lambda: loss_for(ExclusiveLabels(labels=labels, ignore=255))
    yield lambda: loss_for(Regions(labels=labels, regions={"liver": (1,)}, order=(1,)))


@tries("training/report.py", "lower learning_rate in the plan")
def _diverged(place: Path) -> Again:
    write_patients(place)

    def at(rate: float) -> object:
        settings = {**SMALL, "training": {**SMALL["training"], "learning_rate": rate, "optimiser": "sgd", "warmup": 0}}
        return train(place, f"{rate}", config=settings, epochs=6)

    yield lambda: at(1e18)
    yield lambda: at(1e-3)


@tries("training/checkpoint.py", "start a new run")
def _other_optimiser(place: Path) -> Again:
    save(place / "c.safetensors", trainee(0, steps=1))
    yield lambda: load(place / "c.safetensors", trainee(0, steps=1, optimiser="sgd"))
    save(place / "new.safetensors", trainee(0, steps=1, optimiser="sgd"))
    yield lambda: load(place / "new.safetensors", trainee(0, steps=1, optimiser="sgd"))


@tries("training/checkpoint.py", "start a new run")
def _other_network(place: Path) -> Again:
    save(place / "c.safetensors", trainee(0, steps=1))
    yield lambda: load(place / "c.safetensors", trainee(0, steps=1, width=5))
    save(place / "new.safetensors", trainee(0, steps=1, width=5))
    yield lambda: load(place / "new.safetensors", trainee(0, steps=1, width=5))


@tries("training/checkpoint.py", "start a new run")
def _torn_checkpoint(place: Path) -> Again:
    (place / "c.safetensors").write_bytes(b"nothing")
    yield lambda: checkpoint_facts(place / "c.safetensors")
    save(place / "new.safetensors", trainee(0, steps=1))
    yield lambda: checkpoint_facts(place / "new.safetensors")


@tries("training/budget.py", "give more, or a smaller plan")
def _no_time(place: Path) -> Again:
    now = [1000.0]

    def spend(seconds: float) -> Callable[..., None]:
        return lambda *anything: now.__setitem__(0, now[0] + seconds)

    def train_for(seconds: float, *, case_s: float) -> object:
        task = ToyTask(place / f"{seconds} {case_s}", before_forward=spend(1), on_case=spend(case_s))
        with patch.object(time, "monotonic", lambda: now[0]):
            return run_task(task, ClockBudget(seconds, started=now[0]))

    yield lambda: train_for(10, case_s=20)
    yield lambda: train_for(1000, case_s=20)
    yield lambda: train_for(10, case_s=0.01)


def classify(place: Path, *, targets: Any = None, plane: str = "axial", unknown: bool = False) -> ClassificationTask:
    """The training of a classifier on two toys, of which it perhaps knows nothing."""
    targets = targets or SliceClasses(classes=("liver", "spleen"))
    cases = [toy_case(place, number) for number in (0, 3)]
    slices = slice_config(plane=plane)
    stored = prepare(cases, place, config=slices)
    truth = toy_truth(stored, cases, targets)
    if unknown:
        truth = {name: known([[-1, -1]] * SLICES) for name in truth}
    return ClassificationTask(inputs_of(place / "run", stored, [], truth, targets=targets, slices=slices))


@tries("training/classification/task.py", "label some")
def _nothing_known(place: Path) -> Again:
    yield lambda: classify(place, unknown=True)
    yield lambda: classify(place)


@tries("training/classification/task.py", "choose other classes, another smallest area or another plane")
def _same_everywhere(place: Path) -> Again:
    huge = SliceClasses(classes=("liver", "spleen"), min_area_mm2=40.0)
    yield lambda: classify(place, targets=huge)
    yield lambda: classify(place, targets=SliceClasses(classes=("liver",), min_area_mm2=30.0))
    yield lambda: classify(place, targets=SliceClasses(classes=("liver", "spleen"), min_area_mm2=10.0))
    yield lambda: classify(place, targets=huge, plane="coronal")
