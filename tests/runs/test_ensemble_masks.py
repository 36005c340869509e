"""Evaluations of masks that several models drew together: they name all of them, and are of no single one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import medseg
import mlflow
import pytest
from medseg.errors import EvaluationError
from medseg.inference.record import ModelIdentity, PredictionRecord, save_record

from tests.remedies.runs import write_patients


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """The labels of two patients as masks of an ensemble, one of whose models has seen the second patient."""
    data, folder = write_patients(tmp_path / "data"), tmp_path / "masks"
    folder.mkdir()
    for name in ("c0", "c1"):
        shutil.copyfile(data / f"{name}_label.nii.gz", folder / f"{name}.nii.gz")
    models = tuple(
        ModelIdentity(
            dataset="boxes 1", manifest_digest="m", plan_digest="p", run_id=name * 32, weights_digest=name * 64,
            trained_on=seen,
        )
        for name, seen in (("a", ()), ("b", ("c1",)))
    )  # fmt: skip
    save_record(PredictionRecord(models=models, labels={"background": 0, "box": 1}, cases=(), failures=()), folder)
    return folder


def test_evaluation_of_an_ensemble_names_every_model_and_is_tied_to_none(masks: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = medseg.evaluate(tmp_path / "data", masks=masks, out=tmp_path / "evaluation", tracking=store)
    content = json.loads((tmp_path / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    assert content["model"] is None
    assert [model["weights_digest"] for model in content["models"]] == ["a" * 64, "b" * 64]
    assert content["trained_on"] == ["c1"]
    assert result.summary.means["dice"] == 1
    run = mlflow.MlflowClient(tracking_uri=store).get_run(content["mlflow_run_id"])
    assert "mlflow.parentRunId" not in run.data.tags
    assert not any(tag.startswith("medseg.model") for tag in run.data.tags)


def test_ensemble_cannot_be_promoted(masks: Path, tmp_path: Path) -> None:
    medseg.evaluate(tmp_path / "data", masks=masks, out=tmp_path / "evaluation", tracking=False)
    with pytest.raises(EvaluationError, match="must be of masks of a model that MLflow knows, got none"):
        medseg.promote(tmp_path / "evaluation", tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
