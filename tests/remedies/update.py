"""Remedies of the errors of updates of finished runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from medseg.inference.segmentation import load_card
from medseg.manifest import load_manifest, save_manifest
from medseg.runs.case_digests import load_digests
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.update.before import read_before
from medseg.runs.segmentation.update.begin import check_update
from medseg.runs.segmentation.update.record import load_update
from medseg.runs.settings import ALL_FOLDS, TrainingSettings
from medseg.runs.split import split_dataset
from medseg.runs.training_cases import load_training_cases
from medseg.runs.updated_run import check_resumed_update, settings_of_update
from medseg.split import SplitConfig

from tests.remedies.attempts import tries
from tests.remedies.runs import SMALL, finished_run, train, write_patients

Again = Iterator[Callable[[], object]]
SIZES = {key: SMALL[key] for key in ("training", "inference")}


def made_up_run(place: Path) -> RunFolder:
    """A folder with what an update reads of a run first."""
    folder = RunFolder(place / "run")
    folder.path.mkdir(parents=True)
    folder.plan.write_text("{}")
    fields: dict[str, Any] = dict.fromkeys(("seed", "budget", "epochs", "mlflow_run_id", "tracking_uri"))
    content = fields | {"fold": "0", "manifest_digest": "", "plan_digest": "", "training": ["c1"], "validation": ["c0"]}
    folder.record.write_text(json.dumps(content))
    return folder


def settings(place: Path, **more: Any) -> Callable[[], object]:
    """The settings of an update of the made-up run."""
    asked = TrainingSettings(out=place / "out", **{"update": place / "run", **more})
    return lambda: settings_of_update(asked, stage="train")


@tries("runs/updated_run.py", "update fold by fold, such as {}")
def _all_folds(place: Path) -> Again:
    made_up_run(place / "folds").path.rename(place / "folds" / "fold_0")
    (place / "folds" / "folds.json").write_text("{}")
    yield settings(place, update=place / "folds")
    yield settings(place, update=place / "folds" / "fold_0")


@tries("runs/updated_run.py", "give such a folder, or take init instead of update for a model without them")
def _model_alone(place: Path) -> Again:
    folder = made_up_run(place)
    (folder.path / "model").mkdir()
    yield settings(place, update=folder.model)
    yield settings(place)
    yield settings(place, update=None, initial=folder.model)


@tries("runs/updated_run.py", "leave the fold out")
def _other_fold(place: Path) -> Again:
    made_up_run(place)
    yield settings(place, fold="1")
    yield settings(place)


@tries("runs/updated_run.py", "leave {} out")
def _weights_beside_a_run(place: Path) -> Again:
    folder = made_up_run(place)
    yield settings(place, initial=folder.path, plan=folder.plan)
    yield settings(place)


@tries("runs/updated_run.py", "update the run of each fold alone")
def _every_fold(place: Path) -> Again:
    made_up_run(place)
    yield settings(place, fold=ALL_FOLDS)
    yield settings(place)


@tries("runs/updated_run.py", "leave them out, or take init instead of update")
def _other_grid(place: Path) -> Again:
    folder = made_up_run(place)
    changes: dict[str, Any] = {"preprocess": {"spacing_mm": [2, 2, 2]}}
    yield settings(place, changes=changes)
    yield settings(place, changes={"training": {"fresh_share": 0.3}})
    yield settings(place, changes=changes, update=None, initial=folder.path)


@tries("runs/updated_run.py", "leave update out")
def _update_of_slices_or_at_a_resume(place: Path) -> Again:
    folder = made_up_run(place)
    asked = TrainingSettings(out=place / "out", update=folder.path)
    yield lambda: settings_of_update(asked, stage="classify train")
    yield lambda: settings_of_update(replace(asked, update=None), stage="classify train")


@tries("runs/updated_run.py", "leave update out")
def _update_at_the_resume_of_another_training(place: Path) -> Again:
    folder = made_up_run(place)
    asked = TrainingSettings(out=folder.path, update=folder.path, resume=True)
    yield lambda: check_resumed_update(asked, folder)
    yield lambda: check_resumed_update(replace(asked, update=None), folder)


@tries("runs/case_digests.py", "delete {}: the cases are known by their ids then")
def _damaged_digests(place: Path) -> Again:
    folder = made_up_run(place)
    folder.cases.write_text("[]")
    yield lambda: load_digests(folder.cases)
    folder.cases.unlink()
    yield lambda: load_digests(folder.cases)


@tries(
    "runs/segmentation/update/begin.py",
    "take init instead of update, which takes weights by the names of labels and channels",
)
def _other_labels(place: Path) -> Again:
    folder = finished_run(place)
    write_patients(place, labels={"background": 0, "lid": 1})
    card, record = load_card(folder.path), folder.load_record()
    yield lambda: check_update(load_training_cases(place, fold="0"), card, record)
    yield lambda: train(place, "tuned", init=folder.path, config=SIZES)


@tries(
    "runs/segmentation/update/begin.py",
    "give them and their patients fold {}, as they had for the run, or take init instead of update",
)
def _validation_case_in_training(place: Path) -> Again:
    folder = finished_run(place)
    manifest, _ = load_manifest(place)
    card, record = load_card(folder.path), folder.load_record()

    def check(*folds: int) -> object:
        cases = tuple(case.model_copy(update={"fold": n}) for case, n in zip(manifest.cases, folds, strict=True))
        save_manifest(manifest.model_copy(update={"cases": cases, "version": "2"}), place / "dataset.json")
        return check_update(load_training_cases(place, fold="0"), card, record)

    yield lambda: check(1, 0)
    yield lambda: check(0, 1)
    yield lambda: train(place, "tuned", init=folder.path, config=SIZES)


@tries("runs/segmentation/update/begin.py", "give the version of the dataset that holds them")
def _nothing_new(place: Path) -> Again:
    folder = finished_run(place)
    yield lambda: train(place, "out", update=folder.path, config=None)
    write_patients(place, count=4, version="2")
    yield lambda: train(place, "out", update=folder.path, config=None)


@tries("runs/segmentation/update/task.py", "leave it out, or name the run to update")
def _share_without_a_run(place: Path) -> Again:
    folder = finished_run(place)
    write_patients(place, count=4, version="2")
    shared = SMALL | {"training": SMALL["training"] | {"fresh_share": 0.4}}
    yield lambda: train(place, "out", config=shared)
    yield lambda: train(place, "plain")
    yield lambda: train(place, "updated", update=folder.path, config={"training": {"fresh_share": 0.4}})


@tries("runs/segmentation/update/record.py", "start a new run")
@tries("runs/segmentation/update/before.py", "start a new run")
def _damaged_update(place: Path) -> Again:
    folder = RunFolder(place)
    for path in (folder.update, folder.before):
        path.write_text("{")
    yield lambda: read_before(folder.before) or load_update(folder.update)
    new = RunFolder(place / "new")
    new.path.mkdir()
    new.before.write_text("[]")
    yield lambda: (read_before(new.before), load_update(new.update))


@tries("runs/split.py", "leave the test share out, or give no run")
def _test_set_of_a_run(place: Path) -> Again:
    folder = made_up_run(place)
    write_patients(place, count=4)
    forced = SplitConfig(folds=2, test=0.3, force=True)
    yield lambda: split_dataset(place, forced, like=folder.path)
    yield lambda: split_dataset(place, SplitConfig(), like=folder.path)
    yield lambda: split_dataset(place, forced)
