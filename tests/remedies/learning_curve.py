"""Remedies of trainings on parts of the cases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medseg.runs.learning_curve import train_learning_curve
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking

from tests.remedies.attempts import tries
from tests.remedies.runs import SMALL, train, write_patients

Again = Iterator[Callable[[], object]]


def curve(data: Path, out: Path, **choices: Any) -> Callable[[], object]:
    """A learning curve of one epoch each."""
    kept: dict[str, Any] = {"epochs": 1, "changes": SMALL, "store": out.parent / "store", "device": "cpu"}
    settings = TrainingSettings(out=out, tracking=Tracking(is_on=False), **(kept | choices))
    return lambda: train_learning_curve(SegmentationJob(), data, settings)


@tries("runs/learning_curve.py", "give the number of a fold")
def _all_cases(place: Path) -> Again:
    data = write_patients(place / "data", count=8)
    yield curve(data, place / "a", fold="all")
    yield curve(data, place / "a", fold="1")


@tries("runs/learning_curve.py", "leave update out")
def _of_an_update(place: Path) -> Again:
    data = write_patients(place / "data", count=8)
    train(data, "begun")
    yield curve(data, place / "a", update=place / "data" / "begun")
    yield curve(data, place / "a")


@tries("runs/learning_curve.py", "label more cases")
def _three_patients(place: Path) -> Again:
    yield curve(write_patients(place / "few", count=6), place / "a")
    yield curve(write_patients(place / "more", count=8), place / "a")


@tries("runs/train.py", "resume the learning curve, or the training in one of its folders")
def _resumed_as_a_single_training(place: Path) -> Again:
    data = write_patients(place / "data", count=8)
    curve(data, place / "data" / "a")()
    yield lambda: train(data, "a", resume=True, config=None, epochs=None)
    yield curve(data, place / "data" / "a", resume=True, changes={})
    yield lambda: train(data, "a/cases_4", resume=True, config=None, epochs=None)


@tries("runs/learning_curve.py", "train on all cases, to see what is wrong")
def _no_training_succeeds(place: Path) -> Again:
    data = write_patients(place / "data", count=8)
    wild = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e30}}
    yield curve(data, place / "a", changes=wild, epochs=3)
    yield lambda: train(data, "b")


@tries("runs/training_cases.py", "take ids that the manifest has outside this fold")
def _case_of_the_fold(place: Path) -> Again:
    data = write_patients(place / "data", count=4)
    yield lambda: train(data, "a", fold=0, cases=("c0",))
    yield lambda: train(data, "b", fold=0, cases=("c1",))
