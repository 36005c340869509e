"""Remedies of putting a model into use, and of training every fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import medseg
import numpy as np
from medseg.evaluation.segmentation import EvaluationContract
from medseg.geometry import Geometry
from medseg.inference.classification import save_classifier_card
from medseg.networks import save_weights
from medseg.networks.classification import SliceClassifier
from medseg.networks.weights import weights_digest
from medseg.scans import write_scan
from medseg.tracking import TrackedRun, fetch_model

from tests.inference.classification.knowing import card_of
from tests.remedies.attempts import tries
from tests.remedies.runs import SMALL, write_patients
from tests.runs.test_promote import DIGESTS, STRENGTHS, evaluation
from tests.tracking.conftest import box_model

MATRIX = np.eye(4)
SMALL_SCAN = np.zeros((1, 9, 12, 7), np.float32)
PROMOTE = "runs/segmentation/promote.py"
REGISTRY = "tracking/registry.py"
Again = Iterator[Callable[[], object]]


def write(place: Path) -> Path:
    """A scan that the models take."""
    scan = place / "scans" / "a.nii.gz"
    write_scan(SMALL_SCAN, Geometry((9, 12, 7), MATRIX), scan)
    return scan


class Registry:
    """Two trained models in a store, and their evaluations."""

    def __init__(self, place: Path) -> None:
        import mlflow

        self.place = place
        self.uri = f"sqlite:///{place}/mlflow.db"
        self.client = mlflow.MlflowClient(tracking_uri=self.uri)
        self.client.create_experiment("boxes", artifact_location=str(place / "artefacts"))
        self.runs: dict[str, str] = {}
        for name in ("first", "second"):
            run = TrackedRun.start(experiment="boxes", name=name, tracking_uri=self.uri)
            folder = box_model(place / ("boxes" if name == "first" else name), strength=STRENGTHS[name])
            run.log_model(folder, version="0.1.0")
            self.runs[name] = run.run_id

    def evaluation(self, folder: str, drawn_by: str = "first", *, dice: float = 0.8, **more: Any) -> Path:
        return evaluation(self.place / folder, self.runs[drawn_by], DIGESTS[drawn_by], dice=dice, **more)

    def promote(self, folder: Path, **settings: Any) -> object:
        return medseg.promote(folder, **({"tracking_uri": self.uri} | settings))


@tries(PROMOTE, "take candidate or clinical")
def _alias(place: Path) -> Again:
    registry = Registry(place)
    folder = registry.evaluation("a")
    yield lambda: registry.promote(folder, alias="v3")
    for alias in ("candidate", "clinical"):
        yield lambda alias=alias: registry.promote(folder, alias=alias)  # type: ignore[misc]


@tries(PROMOTE, "take dice, or a distance")
def _metric(place: Path) -> Again:
    registry = Registry(place)
    folder = registry.evaluation("a")
    yield lambda: registry.promote(folder, metric="volume_difference_ml")
    for metric in ("dice", "hd95_mm"):
        yield lambda metric=metric: registry.promote(folder, metric=metric)  # type: ignore[misc]


@tries(PROMOTE, "train with tracking (resume the run of an earlier version once), predict and evaluate again")
def _untracked(place: Path) -> Again:
    registry = Registry(place)
    yield lambda: registry.promote(registry.evaluation("a", model=None))
    yield lambda: registry.promote(registry.evaluation("b"))


@tries(PROMOTE, "evaluate its validation fold, or the test split")
def _seen(place: Path) -> Again:
    registry = Registry(place)
    yield lambda: registry.promote(registry.evaluation("a", trained_on=["box_00"]))
    yield lambda: registry.promote(registry.evaluation("b"))


@tries(PROMOTE, "predict with the run as it is now, by its last weights, and evaluate again")
def _other_weights(place: Path) -> Again:
    registry = Registry(place)
    other = {"run_id": registry.runs["first"], "weights_digest": "9" * 64}
    yield lambda: registry.promote(registry.evaluation("a", model=other))
    yield lambda: registry.promote(registry.evaluation("b"))


@tries(PROMOTE, "evaluate it on the same cases under the same contract, and give that evaluation too")
def _alone(place: Path) -> Again:
    registry = Registry(place)
    first, second = registry.evaluation("a"), registry.evaluation("b", "second", dice=0.82)
    registry.promote(first)
    yield lambda: registry.promote(second)
    yield lambda: registry.promote(second, against=first)


@tries(PROMOTE, "predict with models:/{}@{} and evaluate again")
def _of_another(place: Path) -> Again:
    registry = Registry(place)
    first, second = registry.evaluation("a"), registry.evaluation("b", "second", dice=0.82)
    registry.promote(first)
    yield lambda: registry.promote(second, against=second)
    scan = write(place)
    medseg.predict("models:/boxes@candidate", scan, out=place / "masks", tracking_uri=registry.uri)
    yield lambda: registry.promote(second, against=first)


@tries(PROMOTE, "evaluate both again under the same contract")
def _other_contract(place: Path) -> Again:
    registry = Registry(place)
    first, second = registry.evaluation("a"), registry.evaluation("b", "second", dice=0.82)
    registry.promote(first)
    contract = EvaluationContract(labels={"box": 5}, both_empty="perfect")
    yield lambda: registry.promote(registry.evaluation("c", "second", contract=contract), against=first)
    yield lambda: registry.promote(second, against=first)


@tries(PROMOTE, "predict and evaluate the same cases")
def _missing_cases(place: Path) -> Again:
    registry = Registry(place)
    first = registry.evaluation("a")
    registry.promote(first)
    yield lambda: registry.promote(registry.evaluation("b", "second", dice=0.82, cases=9), against=first)
    yield lambda: registry.promote(registry.evaluation("c", "second", dice=0.82), against=first)


@tries(PROMOTE, "evaluate both on more patients, or accept a wider margin")
def _worse(place: Path) -> Again:
    registry = Registry(place)
    first, second = (registry.evaluation(name, name, cases=4) for name in ("first", "second"))
    registry.promote(first, alias="candidate")
    registry.promote(first, alias="other")
    yield lambda: registry.promote(second, against=first)
    more = [registry.evaluation(f"{name}_more", name, cases=20) for name in ("first", "second")]
    yield lambda: registry.promote(more[1], against=more[0])
    worse = [registry.evaluation(f"{name}_wide", name, dice=dice) for name, dice in (("first", 0.8), ("second", 0.78))]
    yield lambda: registry.promote(worse[1], against=worse[0], alias="other", margin=0.05)


@tries(PROMOTE, "keep the one in use")
def _clearly_worse(place: Path) -> Again:
    registry = Registry(place)
    first, second = registry.evaluation("a"), registry.evaluation("b", "second", dice=0.6)
    registry.promote(first)
    yield lambda: registry.promote(second, against=first)
    yield lambda: medseg.predict(
        "models:/boxes@candidate", write(place), out=place / "masks", tracking_uri=registry.uri
    )


@tries(PROMOTE, "predict and evaluate again")
def _nothing_measured(place: Path) -> Again:
    registry = Registry(place)
    yield lambda: registry.promote(registry.evaluation("a", cases=0))
    yield lambda: registry.promote(registry.evaluation("b"))


@tries(PROMOTE, "evaluate both again on the same dataset")
def _other_dataset(place: Path) -> Again:
    registry = Registry(place)
    first = registry.evaluation("a")
    registry.promote(first)
    other = {"name": "boxes", "digest": "e" * 64}
    yield lambda: registry.promote(registry.evaluation("b", "second", dice=0.82, dataset=other), against=first)
    yield lambda: registry.promote(registry.evaluation("c", "second", dice=0.82), against=first)


@tries(REGISTRY, "give the tracking URI of the training's store, or send what is kept: medseg sync RUN")
def _other_store(place: Path) -> Again:
    registry = Registry(place)
    folder = registry.evaluation("a")
    yield lambda: registry.promote(folder, tracking_uri=f"sqlite:///{place}/other.db")
    yield lambda: registry.promote(folder)


@tries("tracking/store_errors.py", "check the tracking URI and the name")
def _address(place: Path) -> Again:
    registry = Registry(place)
    registry.promote(registry.evaluation("a"))
    yield lambda: fetch_model("models:/boxes@none", place / "x", tracking_uri=f"sqlite:///{place}/other.db")
    yield lambda: fetch_model("models:/boxes@candidate", place / "y", tracking_uri=registry.uri)


@tries(REGISTRY, "give the address of a model that medseg trained, or a run's folder")
def _foreign_model(place: Path) -> Again:
    registry = Registry(place)
    registry.promote(registry.evaluation("a"))
    client = registry.client
    (place / "foreign").mkdir()
    (place / "foreign" / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    client.create_registered_model("foreign")
    client.create_model_version("foreign", source=str(place / "foreign"))
    yield lambda: fetch_model("models:/foreign/1", place / "x", tracking_uri=registry.uri)
    yield lambda: fetch_model("models:/boxes@candidate", place / "y", tracking_uri=registry.uri)
    scan = write(place)
    yield lambda: medseg.predict(place / "boxes", scan, out=place / "masks")


@tries(REGISTRY, "write it like models:/livers@clinical or models:/livers/3")
def _no_version(place: Path) -> Again:
    registry = Registry(place)
    registry.promote(registry.evaluation("a"), alias="clinical")
    yield lambda: fetch_model("models:/boxes", place / "x", tracking_uri=registry.uri)
    yield lambda: fetch_model("models:/boxes@clinical", place / "y", tracking_uri=registry.uri)
    yield lambda: fetch_model("models:/boxes/1", place / "z", tracking_uri=registry.uri)


@tries("runs/training_cases.py", "give a number, or 'all'")
def _one_fold_at_a_time(place: Path) -> Again:
    data = write_patients(place / "data")
    settings: dict[str, Any] = {"epochs": 1, "store": place / "store", "tracking": False}
    yield lambda: medseg.train_classifier(data, out=place / "out", fold="all-folds", **settings)
    yield lambda: medseg.train_classifier(data, out=place / "number", fold=0, **settings)
    yield lambda: medseg.train_classifier(data, out=place / "all", fold="all", **settings)


@tries("runs/trainings_record.py", "start a new training")
def _gone_folds(place: Path) -> Again:
    data = write_patients(place / "data")
    settings: dict[str, Any] = {"config": SMALL, "epochs": 1, "store": place / "store", "tracking": False}
    (place / "gone" / "fold_0").mkdir(parents=True)  # the record is lost, but not the folds
    yield lambda: medseg.train(data, out=place / "gone", fold="all-folds", resume=True, **settings)
    yield lambda: medseg.train(data, out=place / "new", fold="all-folds", **settings)


@tries("runs/folds.py", "train one alone, to see what is wrong with it")
def _no_fold(place: Path) -> Again:
    data = write_patients(place / "data")
    settings: dict[str, Any] = {"config": SMALL, "epochs": 1, "store": place / "store", "tracking": False}
    for image in data.glob("c?.nii.gz"):
        image.rename(image.with_suffix(".hidden"))
    yield lambda: medseg.train(data, out=place / "out", fold="all-folds", **settings)
    for image in data.glob("*.hidden"):
        image.rename(image.with_suffix(".gz"))
    yield lambda: medseg.train(data, out=place / "alone", fold=0, **settings)


@tries("runs/train.py", "give the fold all-folds")
def _resumed_folds(place: Path) -> Again:
    data = write_patients(place / "data")
    settings: dict[str, Any] = {"config": SMALL, "epochs": 1, "store": place / "store", "tracking": False}
    medseg.train(data, out=place / "out", fold="all-folds", **settings)
    yield lambda: medseg.train(data, out=place / "out", resume=True, tracking=False)
    yield lambda: medseg.train(data, out=place / "out", fold="all-folds", resume=True, tracking=False)


@tries("runs/segmentation/model_paths.py", "give the address of a model of medseg train")
def _classifier_s_address(place: Path) -> Again:
    registry = Registry(place)
    card = card_of()
    save_classifier_card(card, place / "classifier")
    save_weights(SliceClassifier(card.network).state_dict(), place / "classifier" / "last.safetensors")
    run = TrackedRun.start(experiment="boxes", name="slices", tracking_uri=registry.uri)
    run.log_model(place / "classifier", version="0.1.0")
    digest = weights_digest(place / "classifier" / "last.safetensors")
    registry.runs["slices"] = run.run_id
    registry.promote(evaluation(place / "s", run.run_id, digest, dice=0.8), name="slices")
    registry.promote(registry.evaluation("a"))
    scan = write(place)
    store = {"tracking_uri": registry.uri}
    yield lambda: medseg.predict("models:/slices@candidate", scan, out=place / "m", **store)
    yield lambda: medseg.predict("models:/boxes@candidate", scan, out=place / "n", **store)


@tries("tracking/open_run.py", "restore it in MLflow, or resume without tracking")
def _deleted_run(place: Path) -> Again:
    data = write_patients(place / "data")
    registry = Registry(place)
    client = registry.client
    client.create_experiment("boxes 2", artifact_location=str(place / "artefacts2"))
    (data / "dataset.json").write_text((data / "dataset.json").read_text().replace('"boxes"', '"boxes 2"'))
    settings: dict[str, Any] = {"store": place / "store", "tracking": registry.uri}
    run = medseg.train(data, out=place / "out", config=SMALL, epochs=1, **settings)
    client.delete_run(run.run_id)
    yield lambda: medseg.train(data, out=place / "out", epochs=2, resume=True, **settings)
    yield lambda: medseg.train(data, out=place / "out", epochs=2, resume=True, store=place / "store", tracking=False)
    client.restore_run(run.run_id)
    yield lambda: medseg.train(data, out=place / "out", epochs=3, resume=True, **settings)
