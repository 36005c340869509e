"""Remedies of trainings by several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

from medseg.planning import load_plan
from medseg.runs.folds import train_folds
from medseg.runs.processes import Order, follow_training
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.training import StepBudget
from medseg.training.share import own_share

from tests.remedies.attempts import by_a_person, tries
from tests.remedies.runs import train, write_patients

Again = Iterator[Callable[[], object]]
by_a_person(
    "it needs GPUs", "training/ranks.py", "start as many processes as there are GPUs, or choose cpu"
)  # fmt: skip


def among(processes: int, work: Callable[[], object]) -> object:
    """The work in the first of so many processes."""
    with patch("ignite.distributed.get_world_size", lambda: processes):
        return work()


@tries("training/share.py", "start {} or fewer, or plan larger batches")
def _batch_for_fewer(place: Path) -> Again:
    yield lambda: among(4, lambda: own_share(2))
    yield lambda: among(2, lambda: own_share(2))
    yield lambda: among(4, lambda: own_share(4))


@tries("runs/processes.py", "start it as one process")
def _all_folds_by_several(place: Path) -> Again:
    write_patients(place)
    settings = TrainingSettings(out=place / "all", fold="all-folds", tracking=Tracking(is_on=False))
    yield lambda: among(2, lambda: train_folds(SegmentationJob(), place, settings))
    yield lambda: train(place, "all", fold="all-folds")


@tries("runs/processes.py", "keep scans, store and the run's folder where all machines find them")
def _scans_of_the_first_alone(place: Path) -> Again:
    write_patients(place, count=3)
    train(place, "run")
    order = Order(load_plan(place / "run" / "plan.yaml"), "0", (), StepBudget(1), is_resumed=False, cases=None)
    settings = TrainingSettings(out=place / "other", store=place / "other_store", device="cpu")

    def follow() -> object:
        with patch("medseg.runs.processes.said_by_first_rank", lambda nothing: order):
            return follow_training(SegmentationJob(), place, settings)

    (place / "c0.nii.gz").rename(place / "elsewhere.nii.gz")
    yield follow
    (place / "elsewhere.nii.gz").rename(place / "c0.nii.gz")
    yield follow
