"""Trainings of quantities from manifest to prediction."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
from ignite.engine import Engine, Events
from medseg.errors import CheckpointError, ConfigError, ManifestError
from medseg.inference.regression import load_quantity_card
from medseg.runs.regression.job import RegressionJob
from medseg.runs.settings import TrainingSettings
from medseg.runs.tracking import Tracking
from medseg.runs.train import train_job
from medseg.scans import read_quantity
from medseg.training.state import TrainingState

from tests.quantity_data import dose_of, write_dose_dataset

SMALL: dict[str, Any] = {"training": {"batch_size": 2, "validations": 2}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dose_dataset(tmp_path_factory.mktemp("doses"), unknown=True)


def train(data: Path, out: Path, **settings: Any) -> medseg.TrainResult:  # type: ignore[name-defined]
    choices = {"config": SMALL, "epochs": 1, "device": "cpu", "store": data.parent / "store", "tracking": False}
    return medseg.train(data, out=out, preset="nano", **(choices | settings))


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned something: the dose is a function of the image."""
    out = tmp_path_factory.mktemp("runs") / "run"
    train(data, out, epochs=60)
    return out


def test_a_dose_that_follows_the_image_is_learned(run: Path) -> None:
    content = json.loads((run / "validation.json").read_text())
    mae = next(number for number in content["numbers"] if number["metric"] == "mae")
    assert (mae["unit"], mae["cases"]) == ("Gy", 2)
    assert mae["mean"] < 9  # 60 * mean of |sigmoid - its mean| is 11: what a constant would give
    with (run / "validation.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["case_id"], row["quantity"], row["scope"]) for row in rows] == [
        ("case_0", "dose", "all"), ("case_2", "dose", "all")
    ]  # fmt: skip
    assert [float(row["unknown_share"]) for row in rows] == [3 / 16, 3 / 16]


def test_the_card_says_what_was_learned_in_which_unit(run: Path) -> None:
    card = load_quantity_card(run)
    assert card.targets.units == {"dose": "Gy"}
    assert card.targets.scale == {"dose": 60.0}
    assert card.trained_on == ("case_1", "case_3")
    assert card.precision == "fp32"


def test_the_score_is_one_minus_the_relative_error(run: Path) -> None:
    lines = (run / "validation_curve.csv").read_text().splitlines()
    content = json.loads((run / "validation.json").read_text())
    mae = next(number for number in content["numbers"] if number["metric"] == "mae")
    assert float(lines[-1].split(",")[1]) == pytest.approx(1 - mae["mean"] / 60, abs=1e-4)
    assert "1 - mean absolute error" in content["score"]


def test_the_validation_is_what_predict_and_the_reference_give(run: Path, data: Path, tmp_path: Path) -> None:
    result = medseg.predict(run, data, out=tmp_path / "out", fold=0, device="cpu")
    assert [case.case_id for case in result.cases] == ["case_0", "case_2"]
    content = json.loads((run / "validation.json").read_text())
    mae = next(number for number in content["numbers"] if number["metric"] == "mae")
    errors = []
    for case_id in ("case_0", "case_2"):
        predicted, _ = read_quantity(tmp_path / f"out/dose/{case_id}.nii.gz", case_id=case_id)
        image, _ = read_quantity(data.parent / f"{case_id}_mr.nii.gz", case_id=case_id)
        errors.append(np.abs(predicted - dose_of(image))[3:].mean())
    assert np.mean(errors) == pytest.approx(mae["mean"], rel=1e-4)


class KilledError(RuntimeError):
    """Stands for whatever ends a process."""


def test_a_training_that_was_ended_is_resumed_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    def settings(name: str, *, resume: bool = False) -> TrainingSettings:
        return TrainingSettings(
            out=tmp_path / name, epochs=3, changes={"training": {"batch_size": 1}}, device="cpu", resume=resume,
            store=data.parent / "store", tracking=Tracking(is_on=False),
        )  # fmt: skip

    def kill(trainer: Engine, evaluator: Engine, state: TrainingState) -> None:
        def end(engine: Engine) -> None:
            if engine.state.iteration == 3:
                raise KilledError

        trainer.add_event_handler(Events.ITERATION_COMPLETED, end)

    train_job(RegressionJob(preset="nano"), data, settings("whole"))
    with pytest.raises(KilledError):
        train_job(RegressionJob(preset="nano", attach=(kill,)), data, settings("killed"))
    train_job(RegressionJob(preset="nano"), data, settings("killed", resume=True))
    weights = [(tmp_path / name / "model/last.safetensors").read_bytes() for name in ("whole", "killed")]
    assert weights[0] == weights[1]


def test_all_folds_measure_every_case_once_and_predict_together(data: Path, tmp_path: Path) -> None:
    result = train(data, tmp_path / "folds", fold="all-folds")
    assert result.notes == ("4 validation cases of 2 of 2 folds",)
    with (tmp_path / "folds/metrics.csv").open() as stream:
        assert [row["case_id"] for row in csv.DictReader(stream)] == ["case_0", "case_2", "case_1", "case_3"]
    plans = {(tmp_path / f"folds/fold_{number}/plan.yaml").read_text() for number in range(2)}
    assert len(plans) == 1
    predicted = medseg.predict(tmp_path / "folds", data, out=tmp_path / "out", device="cpu")
    assert len(predicted.cases) == 4
    again = train(data, tmp_path / "folds", fold="all-folds", resume=True)
    assert again.steps == result.steps


def test_losses_are_chosen_by_the_plan(data: Path, tmp_path: Path) -> None:
    for loss in ("l2", "l1_ssim"):
        config = {"training": {"batch_size": 2, "loss": loss}}
        assert train(data, tmp_path / loss, config=config).steps == 1
    with pytest.raises(ConfigError, match="loss"):
        train(data, tmp_path / "none", config={"training": {"loss": "l3"}})


def test_numbers_and_settings_are_in_mlflow_by_quantity(data: Path, tmp_path: Path) -> None:
    import mlflow

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    result = train(data, tmp_path / "run", tracking=uri)
    logged = mlflow.MlflowClient(tracking_uri=uri).get_run(result.run_id)
    assert {"volume_mae/dose", "val/mae/dose", "val/mae_percent/dose", "volume_one_minus_relative_mae"} <= set(
        logged.data.metrics
    )
    assert logged.data.params["quantities"] == "dose in Gy"
    assert logged.data.params["loss"] == "l1"
    assert load_quantity_card(tmp_path / "run").mlflow_run_id == result.run_id


def test_what_only_masks_have_is_refused(data: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a training of quantities must begin with fresh weights"):
        train(data, tmp_path / "a", init=run)
    with pytest.raises(ConfigError, match="parallel must be 1 for quantities"):
        train(data, tmp_path / "b", fold="all-folds", parallel=2)
    with pytest.raises(ConfigError, match="fast: must be of a model of masks, got one of quantities"):
        medseg.predict(run, data, out=tmp_path / "c", fast=True)
    with pytest.raises(ConfigError, match="must draw masks, got a model of quantities"):
        medseg.package(run, out=tmp_path / "d")
    with pytest.raises(ManifestError, match="task must be segmentation, got regression"):
        medseg.search(data, out=tmp_path / "e", trials=2, tracking=False)
    with pytest.raises(CheckpointError, match="must be of labels, got one of quantities"):
        medseg.Predictor.load(run, device="cpu")
