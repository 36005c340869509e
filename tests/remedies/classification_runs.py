"""Remedies of the errors of a slice classifier's runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import medseg
from medseg.planning import save_plan
from medseg.preprocess.classification.table import read_target_table
from medseg.runs.classification.evaluate import ScoreSettings, evaluate_classifier
from medseg.runs.classification.plan import plan_classifier
from medseg.runs.classification.settings import ClassificationSettings
from medseg.runs.job import Planned
from medseg.runs.progress import Silence
from medseg.runs.tracking import Tracking
from medseg.runs.training_cases import load_training_cases

from tests.networks.segmentation.small_nets import small_net
from tests.remedies.attempts import tries
from tests.remedies.inference import model_run
from tests.remedies.runs import write_patients

Again = Iterator[Callable[[], object]]
STUDIES = "case_id,ill\nc0,1\nc1,0\nc2,0\nc3,1\n"
TWO_CLASSES = "case_id,well,ill\nc0,0,1\nc1,1,0\nc2,1,0\nc3,0,1\n"


def plan(place: Path, content: str | None = None, **settings: Any) -> Planned[Any]:
    """The plan of a training on two patients, with the classes of a CSV file if one is given."""
    table = None
    if content is not None:
        (place / "t.csv").write_text(content)
        table = read_target_table(place / "t.csv")
    chosen = ClassificationSettings(out=place / "run", **settings)
    return plan_classifier(load_training_cases(place, fold="0"), table, chosen, device="cpu", progress=Silence())


@tries("runs/classification/plan.py", "give a run of medseg train with the network unet")
def _encoder_of_another_network(place: Path) -> Again:
    write_patients(place)
    yield lambda: plan(place, initial=model_run(place / "a", network=small_net("dynunet", out_channels=2)))
    yield lambda: plan(place, initial=model_run(place / "b"))


@tries("runs/classification/plan.py", "choose a pooling")
def _pooling(place: Path) -> Again:
    write_patients(place)
    yield lambda: plan(place, STUDIES, pooling="none")
    yield lambda: plan(place, STUDIES, pooling="mean")


@tries("runs/classification/plan.py", "leave them out")
def _kind_of_a_table(place: Path) -> Again:
    write_patients(place)
    yield lambda: plan(place, STUDIES, kind="multiclass", classes="ill")
    yield lambda: plan(place, STUDIES)


@tries("runs/classification/plan.py", "leave it out")
def _area_of_a_table(place: Path) -> Again:
    write_patients(place)
    yield lambda: plan(place, STUDIES, min_area_mm2=3.0)
    yield lambda: plan(place, STUDIES)


@tries("runs/classification/plan.py", "choose multilabel")
def _one_class_per_study(place: Path) -> Again:
    write_patients(place)
    yield lambda: plan(place, kind="multiclass", pooling="max")
    yield lambda: plan(place, kind="multilabel", pooling="max")


def saved_plan(place: Path, content: str | None = None) -> Path:
    """The file of a plan."""
    save_plan(plan(place, content).plan, place / "plan.yaml")
    return place / "plan.yaml"


@tries("runs/classification/plan.py", "reorder its columns, or plan again")
def _order_of_a_table(place: Path) -> Again:
    write_patients(place)
    path = saved_plan(place, TWO_CLASSES)
    other = "case_id,ill,well\nc0,1,0\nc1,0,1\n"
    yield lambda: plan(place, other, plan=path)
    yield lambda: plan(place, TWO_CLASSES, plan=path)
    yield lambda: plan(place, other)


@tries("runs/classification/plan.py", "plan again")
def _channels_of_a_plan(place: Path) -> Again:
    write_patients(place)
    path = saved_plan(place)
    write_patients(place, channel_names={"0": "T1", "1": "T2"})
    yield lambda: plan(place, plan=path)
    write_patients(place)
    yield lambda: plan(place)


def trained(place: Path, labels: str = "label") -> Path:
    """The folder of a classifier's training of one epoch."""
    write_patients(place, count=4)
    result = medseg.train_classifier(
        place, out=place / "run", epochs=1, config={"network": {"width": 4}}, store=place / "store", device="cpu",
        tracking=False, labels=labels, architecture="resnet18",
    )  # fmt: skip
    return result.folder


def evaluate(place: Path, out: str, table: Path | None = None, dataset: Path | None = None) -> Callable[[], object]:
    settings = ScoreSettings(out=place / out, table=table, store=place / "store", tracking=Tracking(is_on=False))
    return lambda: evaluate_classifier(place / "run", dataset or place, settings)


@tries("runs/classification/evaluate.py", "leave the CSV file out")
def _table_for_label_volumes(place: Path) -> Again:
    trained(place)
    (place / "t.csv").write_text(STUDIES)
    yield evaluate(place, "one", place / "t.csv")
    yield evaluate(place, "two")


@tries("runs/classification/evaluate.py", "evaluate on the dataset that it was made for")
def _other_dataset(place: Path) -> Again:
    trained(place)
    (place / "other").mkdir()
    write_patients(place / "other", labels={"background": 0, "lid": 1})
    yield evaluate(place, "one", dataset=place / "other")
    yield evaluate(place, "two")


@tries("runs/classification/labels.py", "give that file as the labels")
def _no_table(place: Path) -> Again:
    (place / "t.csv").write_text(TWO_CLASSES)
    trained(place, str(place / "t.csv"))
    yield evaluate(place, "one")
    yield evaluate(place, "two", place / "t.csv")


@tries("runs/classification/evaluate.py", "give the file in the form that it was trained on")
def _table_of_another_form(place: Path) -> Again:
    (place / "t.csv").write_text(TWO_CLASSES)
    trained(place, str(place / "t.csv"))
    (place / "other.csv").write_text(STUDIES)
    yield evaluate(place, "one", place / "other.csv")
    yield evaluate(place, "two", place / "t.csv")
