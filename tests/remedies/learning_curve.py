"""Remedies of the errors of learning curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medseg.runs.learning_curve import train_learning_curve
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.runs.training_cases import load_training_cases

from tests.remedies.attempts import tries
from tests.remedies.runs import SMALL, train, write_patients

Again = Iterator[Callable[[], object]]


def curve(place: Path, out: str, **settings: Any) -> object:
    given = {"changes": SMALL, "epochs": 1, "store": place / "store", "device": "cpu", **settings}
    asked = TrainingSettings(out=place / out, tracking=Tracking(is_on=False), **given)
    return train_learning_curve(SegmentationJob(), place, asked)


@tries("runs/learning_curve.py", "give the number of a fold, and no resume")
def _every_fold(place: Path) -> Again:
    write_patients(place, count=8)
    yield lambda: curve(place, "out", fold="all-folds")
    yield lambda: curve(place, "out", fold="0")


@tries("runs/learning_curve.py", "train on all cases, to see what is wrong")
def _no_training_succeeds(place: Path) -> Again:
    write_patients(place, count=8)
    wild = {**SMALL, "training": {**SMALL["training"], "learning_rate": 1e30}}
    yield lambda: curve(place, "out", changes=wild, epochs=3)
    yield lambda: train(place, "alone")


@tries("runs/learning_curve.py", "take a fold with more training cases")
def _too_few_patients(place: Path) -> Again:
    write_patients(place, count=6)
    yield lambda: curve(place, "out")
    write_patients(place, count=8)
    yield lambda: curve(place, "other")


@tries("runs/training_cases.py", "take ids that the manifest has outside this fold")
def _unknown_case(place: Path) -> Again:
    write_patients(place)
    known = [case.case_id for case in load_training_cases(place, fold="0").training]
    yield lambda: load_training_cases(place, fold="0", only=("nobody",))
    yield lambda: load_training_cases(place, fold="0", only=tuple(known))
