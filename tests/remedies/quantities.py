"""Remedies of quantities, from the manifest to their prediction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
import torch
from medseg.audit.audit import audit_manifest
from medseg.cohort import SERIAL
from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.inference.inputs import find_inputs
from medseg.inference.record import PredictionRecord, load_record, save_record
from medseg.inference.regression import ValueModel, load_quantity_card, load_value_record, predict_values
from medseg.inference.regression.predict_cases import check_value_folder
from medseg.inference.segmentation import load_card
from medseg.manifest import load_manifest, read_case_with_quantities, require_no_quantities
from medseg.planning import (
    RegressionPlan,
    check_quantity_plan,
    load_plan,
    load_plan_of,
    make_regression_plan,
    save_plan,
    take_quantity_fingerprint,
)
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.regression import prepare_values
from medseg.records import Scan
from medseg.runs.regression.job import RegressionJob
from medseg.runs.regression.plan import plan_quantities
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.settings import TrainingSettings
from medseg.scans import read_quantity, write_quantity, write_scan
from medseg.training.regression import RegressionInputs, RegressionTask

from tests.inference.regression.test_predict import model
from tests.quantity_data import write_dose_dataset
from tests.remedies.attempts import by_a_person, covers, tries
from tests.remedies.audit import refuse

covers("manifest")
Again = Iterator[Callable[[], object]]
SHAPE = (16, 14, 12)
GRID = Geometry(SHAPE, np.diag([2.0, 2.0, 3.0, 1.0]))
DOSE = {"dose": {"unit": "Gy", "prescription": 60.0}}

by_a_person(
    "nothing is to be done",
    "audit/quantity_checks.py",
    "nothing to do if that was meant: such voxels count in no loss and no metric",
)


def loading(place: Path, **changes: Any) -> Callable[[], object]:
    """A function that writes a dataset of one case and loads it; `entry` changes the case."""

    def load() -> object:
        path = write_dose_dataset(place, cases=1)
        content = json.loads(path.read_text())
        content["training"][0] |= changes.get("entry", {})
        content |= {name: value for name, value in changes.items() if name != "entry"}
        path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))
        return load_manifest(path)

    return load


@tries("manifest/quantity_checks.py", "use train, predict and evaluate for quantities, or give a manifest of labels")
def _other_stage(place: Path) -> Again:
    manifest, _ = load_manifest(write_dose_dataset(place, cases=1))
    yield lambda: require_no_quantities(manifest, "a choice of models")
    yield lambda: require_no_quantities(
        manifest.model_copy(update={"task": "segmentation", "quantities": None}), "a choice of models"
    )


@tries("manifest/quantity_checks.py", 'add quantities with their units, such as {"dose": {"unit": "Gy"}}')
def _no_quantities(place: Path) -> Again:
    yield loading(place, quantities=None)
    yield loading(place, quantities={"dose": {"unit": "Gy"}})


@tries("manifest/quantity_checks.py", "set task to regression, or leave quantities out")
def _other_task(place: Path) -> Again:
    yield loading(place, task="segmentation")
    yield loading(place, task="regression")
    yield loading(place, task="segmentation", quantities=None, entry={"quantities": None})


@tries("manifest/quantity_checks.py", "rename it, in the cases too")
def _name(place: Path) -> Again:
    yield loading(place, quantities={"mean": {"unit": "Gy"}}, entry={"quantities": {"mean": "case_0_dose.nii.gz"}})
    yield loading(place, quantities={"dose": {"unit": "Gy"}})


@tries(
    "manifest/quantity_checks.py",
    "name them with their units under quantities of the manifest, or correct the case",
)
def _unnamed(place: Path) -> Again:
    files = {"dose": "case_0_dose.nii.gz", "let": "case_0_dose.nii.gz"}
    yield loading(place, entry={"quantities": files})
    yield loading(place, entry={"quantities": files}, quantities={**DOSE, "let": {"unit": "keV/um"}})
    yield loading(place)


def reading(path: Path) -> Callable[[], object]:
    def read() -> object:
        manifest, root = load_manifest(path)
        return read_case_with_quantities(manifest.cases[0], manifest, root)

    return read


@tries("manifest/case_quantities.py", "add them, or move the case to test")
def _missing(place: Path) -> Again:
    path = write_dose_dataset(place, cases=2)
    content = json.loads(path.read_text())
    entry = content["training"][0]
    files = entry.pop("quantities")
    path.write_text(json.dumps(content))
    yield reading(path)
    entry["quantities"] = files
    path.write_text(json.dumps(content))
    yield reading(path)
    del content["training"][0]["quantities"], content["training"][0]["fold"]
    path.write_text(json.dumps({**content, "training": content["training"][1:], "test": content["training"][:1]}))
    yield reading(path)


@tries("manifest/case_quantities.py", "write NaN where the value is not known")
def _infinite(place: Path) -> Again:
    path = write_dose_dataset(place, cases=1)
    values, _ = read_quantity(place / "case_0_dose.nii.gz", case_id="a")
    for value in (np.inf, np.nan):
        values[0, 0, 0] = value
        write_scan(values[np.newaxis], GRID, place / "case_0_dose.nii.gz")
        yield reading(path)


@tries("manifest/case_quantities.py", "export it again, or drop the case")
def _nothing_known(place: Path) -> Again:
    path = write_dose_dataset(place, cases=2)
    known = (place / "case_0_dose.nii.gz").read_bytes()
    write_scan(np.full((1, *SHAPE), np.nan, np.float32), GRID, place / "case_0_dose.nii.gz")
    yield reading(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "training": content["training"][1:]}))
    yield reading(path)
    path.write_text(json.dumps(content))
    (place / "case_0_dose.nii.gz").write_bytes(known)
    yield reading(path)


@tries("scans/read.py", "write each quantity to a volume of its own")
def _two_channels(place: Path) -> Again:
    write_scan(np.ones((2, *SHAPE), np.float32), GRID, place / "both.nii.gz")
    write_scan(np.ones((1, *SHAPE), np.float32), GRID, place / "one.nii.gz")
    yield lambda: read_quantity(place / "both.nii.gz", case_id="a")
    yield lambda: read_quantity(place / "one.nii.gz", case_id="a")


@tries("scans/write.py", "check the scan for values far outside those of the training")
def _not_finite(place: Path) -> Again:
    scan = Scan(np.zeros((1, *SHAPE), np.float32), GRID)
    for value in (np.inf, 1.0):
        values = np.full(SHAPE, value, np.float32)
        yield lambda values=values: write_quantity(values, scan, place, case_id="a", quantity="dose", unit="Gy")


# Findings of the audit.


def auditing(path: Path, check: str) -> Callable[[], object]:
    def audit() -> None:
        manifest, root = load_manifest(path)
        refuse(audit_manifest(manifest, root, executor=SERIAL).findings, check)

    return audit


def rewritten(place: Path, case_id: str, values: float | np.ndarray) -> None:
    array = np.broadcast_to(np.float32(values), (1, *SHAPE)).astype(np.float32)
    write_scan(array, GRID, place / f"{case_id}_dose.nii.gz")


@tries("audit/quantity_checks.py", "add them, or move the case to test")
def _audited_missing(place: Path) -> Again:
    path = write_dose_dataset(place, cases=2)
    whole = path.read_text()
    content = json.loads(whole)
    del content["training"][0]["quantities"]
    path.write_text(json.dumps(content))
    yield auditing(path, "missing_quantity")
    path.write_text(whole)
    yield auditing(path, "missing_quantity")
    del content["training"][0]["fold"]
    path.write_text(json.dumps({**content, "training": content["training"][1:], "test": content["training"][:1]}))
    yield auditing(path, "missing_quantity")


@tries("audit/quantity_checks.py", "write NaN where the value is not known")
def _audited_infinite(place: Path) -> Again:
    path = write_dose_dataset(place, cases=1)
    values, _ = read_quantity(place / "case_0_dose.nii.gz", case_id="a")
    for value in (np.inf, np.nan):
        values[0, 0, 0] = value
        rewritten(place, "case_0", values)
        yield auditing(path, "quantity_values")


def _again_or_dropped(place: Path, value: float, check: str) -> Again:
    path = write_dose_dataset(place, cases=2)
    known = (place / "case_0_dose.nii.gz").read_bytes()
    rewritten(place, "case_0", value)
    yield auditing(path, check)
    (place / "case_0_dose.nii.gz").write_bytes(known)
    yield auditing(path, check)
    rewritten(place, "case_0", value)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "training": content["training"][1:]}))
    yield auditing(path, check)


@tries("audit/quantity_checks.py", "export it again, or drop the case")
def _audited_unknown(place: Path) -> Again:
    yield from _again_or_dropped(place, np.nan, "quantity_values")


@tries("audit/quantity_checks.py", "export it again or drop the case")
def _audited_constant(place: Path) -> Again:
    yield from _again_or_dropped(place, 3.0, "quantity_values")


@tries("audit/quantity_checks.py", "check its slope and intercept")
def _audited_negative(place: Path) -> Again:
    path = write_dose_dataset(place, cases=1)
    values, _ = read_quantity(place / "case_0_dose.nii.gz", case_id="a")
    rewritten(place, "case_0", values - 50)
    yield auditing(path, "quantity_values")
    rewritten(place, "case_0", values)
    yield auditing(path, "quantity_values")


@tries(
    "audit/quantity_checks.py",
    "resample the quantity onto the image with linear interpolation, export it again, or drop the case",
)
def _audited_grid(place: Path) -> Again:
    from medseg.scans import regrid

    path = write_dose_dataset(place, cases=1)
    moved = GRID.affine.copy()
    moved[0, 3] += 2
    values, _ = read_quantity(place / "case_0_dose.nii.gz", case_id="a")
    scan = Scan(values[np.newaxis], Geometry(SHAPE, moved))
    write_scan(scan.array, scan.geometry, place / "case_0_dose.nii.gz")
    yield auditing(path, "grid")
    write_scan(regrid(scan, GRID, order="linear"), GRID, place / "case_0_dose.nii.gz")
    yield auditing(path, "grid")


@tries("audit/quantity_checks.py", "check their unit; convert them, or drop the case")
def _audited_scale(place: Path) -> Again:
    path = write_dose_dataset(place, cases=10)
    values, _ = read_quantity(place / "case_3_dose.nii.gz", case_id="a")
    rewritten(place, "case_3", 100 * values)
    yield auditing(path, "quantity_scale")
    rewritten(place, "case_3", values)
    yield auditing(path, "quantity_scale")


# Plans and trainings.


def plan_of(path: Path) -> RegressionPlan:
    manifest, root = load_manifest(path)
    fingerprint = take_quantity_fingerprint(manifest.cases, manifest, root, executor=SERIAL)
    return make_regression_plan(fingerprint, manifest, device="cpu", preset="nano")


@tries("planning/quantity_fingerprint.py", "check its files, or leave it out of the manifest")
def _constant(place: Path) -> Again:
    path = write_dose_dataset(place, cases=2)
    known = [(place / f"case_{number}_dose.nii.gz").read_bytes() for number in range(2)]
    for number in range(2):
        rewritten(place, f"case_{number}", 0.0)
    yield lambda: plan_of(path)
    for number, content in enumerate(known):
        (place / f"case_{number}_dose.nii.gz").write_bytes(content)
    yield lambda: plan_of(path)


@tries("planning/regression.py", "plan again")
def _other_manifest(place: Path) -> Again:
    plan = plan_of(write_dose_dataset(place, cases=2))
    path = write_dose_dataset(place, cases=2, quantities={"dose": {"unit": "Gy", "prescription": 50}})
    manifest, _ = load_manifest(path)
    yield lambda: check_quantity_plan(plan, manifest)
    yield lambda: check_quantity_plan(plan_of(path), manifest)


@tries("planning/plan.py", "give it to a training of quantities, or plan a dataset of labels")
def _plan_of_quantities(place: Path) -> Again:
    save_plan(plan_of(write_dose_dataset(place, cases=2)), place / "plan.yaml")
    yield lambda: load_plan(place / "plan.yaml")
    yield lambda: load_plan_of(RegressionPlan, place / "plan.yaml")


def training(place: Path, path: Path, out: str, **settings: Any) -> Callable[[], object]:
    choices = {
        "config": {"training": {"batch_size": 2}}, "epochs": 1, "device": "cpu", "tracking": False, "preset": "nano",
        "store": place / "store",
    }  # fmt: skip
    return lambda: medseg.train(path, out=place / out, **(choices | settings))


@tries("training/regression/task.py", "give cases that were prepared")
def _no_case(place: Path) -> Again:
    manifest, root = load_manifest(write_dose_dataset(place, cases=2))
    plan = plan_of(place / "dataset.json")
    done = prepare_values(
        manifest.cases, manifest, root, config=plan.preprocess, store=place / "store", executor=SERIAL
    )
    inputs = RegressionInputs(
        training=(), validation=(), target=plan.targets, network=plan.network, config=plan.training,
        inference=plan.inference, device=torch.device("cpu"), folder=place,
    )  # fmt: skip
    yield lambda: RegressionTask(inputs)
    yield lambda: RegressionTask(replace(inputs, training=done.cases))


@tries("runs/segmentation/job.py", "give a dataset of labels")
def _not_of_labels(place: Path) -> Again:
    manifest, _ = load_manifest(write_dose_dataset(place, cases=1))
    yield lambda: SegmentationJob().check(manifest)
    labels = manifest.model_copy(update={"task": "segmentation", "quantities": None})
    yield lambda: SegmentationJob().check(labels)


@tries("runs/segmentation/job.py", "name the values of the label files under labels")
def _background_alone(place: Path) -> Again:
    manifest, _ = load_manifest(write_dose_dataset(place, cases=1))
    labels = manifest.model_copy(update={"task": "segmentation", "quantities": None})
    yield lambda: SegmentationJob().check(labels.model_copy(update={"labels": {"background": 0}}))
    yield lambda: SegmentationJob().check(labels)


@tries("runs/regression/job.py", "leave it out")
def _begins_with(place: Path) -> Again:
    path = write_dose_dataset(place)
    yield training(place, path, "run", init=place)
    yield training(place, path, "run")


@tries("runs/regression/job.py", "leave them out, or the plan")
def _plan_and_preset(place: Path) -> Again:
    path = write_dose_dataset(place)
    save_plan(plan_of(path), place / "plan.yaml")
    yield training(place, path, "run", plan=place / "plan.yaml")
    yield training(place, path, "run", plan=place / "plan.yaml", preset=None)
    yield training(place, path, "other")


@tries("runs/regression/folds.py", "leave it out")
def _at_once(place: Path) -> Again:
    path = write_dose_dataset(place)
    yield training(place, path, "folds", fold="all-folds", parallel=2)
    yield training(place, path, "folds", fold="all-folds")


@tries("runs/regression/folds.py", "train one alone, to see what is wrong with it")
def _no_fold(place: Path) -> Again:
    path = write_dose_dataset(place)
    content = path.read_text()
    path.write_text(content.replace("_mr.nii.gz", "_ct.nii.gz"))
    yield training(place, path, "folds", fold="all-folds")

    def one() -> None:
        with pytest.raises(PipelineError, match="must exist under the data root"):  # which is what is wrong with it
            training(place, path, "one")()

    yield one


@tries("runs/regression/plan.py", "give another, or delete it")
def _plan_exists(place: Path) -> Again:
    path = write_dose_dataset(place)
    settings = TrainingSettings(out=place / "run", device="cpu")
    (place / "plan.yaml").write_text("")
    yield lambda: plan_quantities(RegressionJob(preset="nano"), path, settings, path=place / "plan.yaml")
    yield lambda: plan_quantities(RegressionJob(preset="nano"), path, settings, path=place / "other.yaml")
    (place / "plan.yaml").unlink()
    yield lambda: plan_quantities(RegressionJob(preset="nano"), path, settings, path=place / "plan.yaml")


# Predictions.


@tries("inference/regression/predictor.py", "predict with each apart, into folders of their own")
def _two_units(place: Path) -> Again:
    from medseg.targets import Quantities, Quantity

    other = model(target=Quantities(quantities={"dose": Quantity(unit="cGy")}))
    yield lambda: ValueModel((model(), other))
    yield lambda: (ValueModel((model(),)), ValueModel((other,)))


def predicting(place: Path, out: str, factor: float = 1.0) -> Callable[[], object]:
    path = place / "dataset.json"
    path = path if path.exists() else write_dose_dataset(place, cases=1)
    members = ValueModel((model(factor=factor),))
    return lambda: predict_values(members, find_inputs([path], channels=members.channels), place / out, cards="c")


@tries("inference/regression/predict_cases.py", "choose another")
def _something_else(place: Path) -> Again:
    (place / "mine").mkdir()
    (place / "mine" / "notes.txt").write_text("mine")
    yield lambda: check_value_folder(place / "mine")
    yield predicting(place, "out")


@tries("inference/regression/predict_cases.py", "choose another folder, or give the model as before")
def _another_model(place: Path) -> Again:
    predicting(place, "out")()
    yield predicting(place, "out", factor=2.0)
    yield predicting(place, "other", factor=2.0)
    yield predicting(place, "out")


@tries("inference/regression/record.py", "predict again, into another folder")
def _damaged_record(place: Path) -> Again:
    predicting(place, "out")()
    (place / "out" / "predictions.json").write_text("{")
    yield lambda: load_value_record(place / "out")
    predicting(place, "other")()
    yield lambda: load_value_record(place / "other")


@tries("inference/record.py", "give a folder that a model of masks was predicted into")
def _quantities_for_masks(place: Path) -> Again:
    predicting(place, "out")()
    write_masks_record(place / "masks")
    yield lambda: load_record(place / "out")
    yield lambda: load_record(place / "masks")


@tries("inference/regression/record.py", "give a folder of quantities, or predict into another folder")
def _masks_for_quantities(place: Path) -> Again:
    write_masks_record(place / "masks")
    predicting(place, "out")()
    yield lambda: load_value_record(place / "masks")
    yield lambda: load_value_record(place / "out")


def write_masks_record(folder: Path) -> None:
    folder.mkdir()
    save_record(PredictionRecord(models=(), labels={"liver": 1}, cases=(), failures=()), folder)


@tries("runs/regression/predict.py", "leave the choice out")
def _choice_of_masks(place: Path) -> Again:
    path = write_dose_dataset(place)
    training(place, path, "run")()
    yield lambda: medseg.predict(place / "run", path, out=place / "out", fast=True, device="cpu")
    yield lambda: medseg.predict(place / "run", path, out=place / "out", device="cpu")


@tries("runs/regression/predict.py", "predict with each kind apart")
def _both_kinds(place: Path) -> Again:
    path = write_dose_dataset(place)
    training(place, path, "run")()
    (place / "masks" / "model").mkdir(parents=True)
    (place / "masks" / "model" / "model.json").write_text("{}")
    yield lambda: medseg.predict([place / "run", place / "masks"], path, out=place / "out", device="cpu")
    yield lambda: medseg.predict(place / "run", path, out=place / "out", device="cpu")


@tries(
    "inference/segmentation/card.py",
    "give a run of medseg train on labels; train, predict and evaluate alone know quantities",
)
def _card_of_quantities(place: Path) -> Again:
    from tests.remedies.runs import SMALL, write_patients

    path = write_dose_dataset(place)
    training(place, path, "run")()
    yield lambda: load_card(place / "run")
    (place / "labels").mkdir()
    medseg.train(
        write_patients(place / "labels"), out=place / "labelled", config=SMALL, epochs=1, device="cpu",
        store=place / "store", tracking=False,
    )  # fmt: skip
    yield lambda: load_card(place / "labelled")
    yield lambda: load_quantity_card(place / "run")


@tries(
    "runs/segmentation/model_paths.py",
    "give a run of medseg train on labels; predict takes models of quantities by themselves",
)
def _model_of_quantities(place: Path) -> Again:
    path = write_dose_dataset(place)
    training(place, path, "run")()
    yield lambda: medseg.package(place / "run", out=place / "packed")
    yield lambda: medseg.predict(place / "run", path, out=place / "out", device="cpu")


@tries("runs/train_dataset.py", "give them as attach, and nothing else")
def _own_parts(place: Path) -> Again:
    path = write_dose_dataset(place)
    yield training(place, path, "run", parts=medseg.SegmentationParts(loss=lambda config: torch.nn.Identity()))
    yield training(place, path, "run", parts=medseg.SegmentationParts(attach=(lambda *engines: None,)))


@tries("runs/train_dataset.py", "leave the head out, or train masks")
def _head_of_quantities(place: Path) -> Again:
    path = write_dose_dataset(place)
    yield training(place, path, "run", head="slice")
    yield training(place, path, "run")


@tries("preprocess/regression/prepare.py", "train on a smaller preprocess.spacing_mm, or drop the case")
def _too_coarse(place: Path) -> Again:
    path = write_dose_dataset(place, cases=2)
    values = np.full(SHAPE, np.nan, np.float32)
    values[4:7, 4:7, 4:7] = 3.0
    rewritten(place, "case_0", values)
    manifest, root = load_manifest(path)

    def prepare(spacing_mm: float, *cases: int) -> None:
        config = PreprocessConfig(
            spacing_mm=(spacing_mm, spacing_mm, spacing_mm), normalisation=(ChannelNormalisation(kind="none"),)
        )
        chosen = [manifest.cases[number] for number in cases]
        done = prepare_values(chosen, manifest, root, config=config, store=place / "store", executor=SERIAL)
        for failure in done.failures:
            raise PipelineError(failure.reason, remedy=failure.reason.partition("; ")[2])

    yield lambda: prepare(7.0, 0)
    yield lambda: prepare(0.5, 0)
    yield lambda: prepare(7.0, 1)
