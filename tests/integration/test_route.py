"""The whole route on made-up patients, by the commands that a user types."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from pathlib import Path

import mlflow
import nibabel
import numpy as np
import pandas
import pytest
import SimpleITK
import yaml
from medseg.records import Manifest
from medseg.workflows.bars import Bars

from tests.conftest import Medseg

SMALL = {
    "network": {
        "channels": [4, 8, 8],
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 3,
        "blocks": [1, 1, 1],
        "decoder_blocks": [1, 1],
    },
    "training": {"batch_size": 2, "learning_rate": 0.01},
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the small network's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return tmp_path


@pytest.fixture
def own_cohort(cohort: tuple[Manifest, Path], tmp_path: Path) -> Path:
    """A copy of the cohort that a test may damage."""
    shutil.copytree(cohort[1], tmp_path / "data")
    return tmp_path / "data"


def test_route_from_manifest_to_measured_masks(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    manifest, data = cohort
    trained = medseg("train", data, "--out", "run", "--epochs", 3, "--config", "small.yaml")
    assert trained.code == 0, trained.err
    assert {path.name for path in (place / "run" / "model").iterdir()} == {
        "model.json",
        "last.safetensors",
        "best.safetensors",
    }

    predicted = medseg("predict", "run", data, "--split", "test", "--out", "masks")
    assert predicted.code == 0, predicted.err
    for case in manifest.select("test"):
        assert_on_source_grid(place / "masks" / f"{case.case_id}.nii.gz", data / case.images[0])
        assert json.loads((place / "masks" / f"{case.case_id}.json").read_text())["labels"] == manifest.labels

    evaluated = medseg("evaluate", data, "--masks", "masks", "--split", "test", "--out", "evaluation")
    assert evaluated.code == 0, evaluated.err
    rows = read_table(place / "evaluation" / "metrics.csv")
    assert len(rows) == len(manifest.select("test")) * 3
    assert_matches_independent_dice(rows, manifest, data, place / "masks")
    assert_everything_is_in_mlflow(manifest, place, rows)


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_on_source_grid(mask_path: Path, image_path: Path) -> None:
    mask, image = SimpleITK.ReadImage(str(mask_path)), SimpleITK.ReadImage(str(image_path))
    assert mask.GetSize() == image.GetSize()
    np.testing.assert_allclose(mask.GetDirection(), image.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(mask.GetSpacing(), image.GetSpacing(), atol=1e-6)
    assert nibabel.load(mask_path).get_data_dtype() == np.uint8


def assert_matches_independent_dice(rows: list[dict[str, str]], manifest: Manifest, data: Path, masks: Path) -> None:
    cases = {case.case_id: case for case in manifest.cases}
    for row in rows:
        label = (
            np.asarray(nibabel.load(data / str(cases[row["case_id"]].label)).dataobj) == manifest.labels[row["label"]]
        )
        mask = np.asarray(nibabel.load(masks / f"{row['case_id']}.nii.gz").dataobj) == manifest.labels[row["label"]]
        expected = 2 * (label & mask).sum() / (label.sum() + mask.sum())
        assert float(row["dice"]) == pytest.approx(expected, abs=1e-6)


def assert_everything_is_in_mlflow(manifest: Manifest, place: Path, rows: list[dict[str, str]]) -> None:
    """A plain MLflow in the working folder finds both runs with all that the pipeline promises."""
    assert (place / "mlflow.db").is_file()
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(manifest.name)
    runs = {run.data.tags["medseg.stage"]: run for run in client.search_runs([experiment.experiment_id])}
    train, evaluate = runs["train"], runs["evaluate"]
    assert train.info.status == evaluate.info.status == "FINISHED"
    assert train.info.run_name.startswith("train run, ")
    assert f"**{manifest.name}**" in train.data.tags["mlflow.note.content"]
    assert train.data.params["learning_rate"] == "0.01"
    assert {"medseg.manifest_digest", "medseg.plan_digest"} <= set(train.data.tags)
    names = {f"volume_{metric}/{label}" for metric in ("dice", "iou") for label in (*manifest.foreground, "mean")}
    assert names | {"train_loss", "learning_rate"} <= set(train.data.metrics)
    assert [metric.step for metric in client.get_metric_history(train.info.run_id, "train_loss")] == [3, 6, 9]
    assert {item.dataset.name for item in train.inputs.dataset_inputs} == {
        f"{manifest.name} (training)",
        f"{manifest.name} (validation)",
    }
    pictures = [Path(item.path).name.split("_")[0] for item in client.list_artifacts(train.info.run_id, "overlays")]
    assert sorted(pictures) == ["best", "worst"]  # of two cases
    files = {item.path for item in client.list_artifacts(train.info.run_id)}
    assert {"plan.yaml", "validation.csv", "validation_cases.json"} <= files
    (made,) = train.outputs.model_outputs
    used = client.get_run(evaluate.info.run_id).inputs.model_inputs  # which a search leaves out
    assert [one.model_id for one in used] == [made.model_id]
    assert evaluate.data.tags["mlflow.parentRunId"] == train.info.run_id
    model = client.get_logged_model(made.model_id)
    shown = {(one.key, one.dataset_name) for one in model.metrics}
    assert ("val/dice/liver", f"{manifest.name} (validation)") in shown
    assert ("test/dice/liver", f"{manifest.name} (evaluation)") in shown
    record = json.loads((place / "masks" / "predictions.json").read_text(encoding="utf-8"))["models"][0]
    assert (record["run_id"], record["weights_digest"]) == (train.info.run_id, model.tags["medseg.weights_digest"])
    assert record["cost"]["parameters"] == int(train.data.params["parameters"])
    sidecar = json.loads(next((place / "masks").glob("*.nii.gz")).with_suffix("").with_suffix(".json").read_text())
    assert sidecar["models"][0]["weights_digest"] == record["weights_digest"]
    errors = {Path(item.path).name for item in client.list_artifacts(evaluate.info.run_id, "errors")}
    assert errors == {path.name for path in (place / "evaluation" / "errors").iterdir()} != set()
    assert len(train.data.params) < 20
    assert {"medseg.device", "medseg.torch", "medseg.length"} <= set(train.data.tags)
    mean = np.mean([float(row["dice"]) for row in rows if row["label"] == "liver"])
    assert evaluate.data.metrics["test/dice/liver"] == pytest.approx(mean, abs=1e-6)


def test_two_runs_with_one_seed_give_the_same_weights(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    for name in ("first", "second"):
        outcome = medseg(
            "train", cohort[1], "--out", name, "--epochs", 2, "--config", "small.yaml", "--seed", 7, "--no-tracking"
        )
        assert outcome.code == 0, outcome.err
    first, second = (place / name / "model" / "last.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert not (place / "mlflow.db").exists()


def test_bad_cases_are_named_and_the_others_are_trained_on(place: Path, own_cohort: Path, medseg: Medseg) -> None:
    content = json.loads((own_cohort / "dataset.json").read_text())
    truncated, empty = content["training"][0], content["training"][3]
    image = own_cohort / truncated["image"]
    image.write_bytes(image.read_bytes()[:2000])
    blank = nibabel.load(own_cohort / empty["label"])
    nibabel.save(
        nibabel.Nifti1Image(np.zeros(blank.shape, np.uint8), blank.affine, blank.header), own_cohort / empty["label"]
    )
    outcome = medseg("train", own_cohort, "--out", "run", "--epochs", 1, "--config", "small.yaml", "--no-tracking")
    assert outcome.code == 1
    assert f"case {truncated['case_id']}: file {image.name} must be a whole NIfTI file" in outcome.err
    assert f"case {empty['case_id']}: label must hold at least one labelled voxel" in outcome.err
    assert (place / "run" / "model" / "last.safetensors").is_file()
    trained_on = json.loads((place / "run" / "model" / "model.json").read_text())["trained_on"]
    assert not {truncated["case_id"], empty["case_id"]} & set(trained_on)


def test_unreadable_manifest_is_one_clear_line(place: Path, medseg: Medseg) -> None:
    (place / "dataset.json").write_text('{"name": ')
    outcome = medseg("train", place / "dataset.json", "--out", "run", "--epochs", 1)
    assert outcome.code == 1
    assert "must be JSON" in outcome.err
    assert not (place / "run").exists()


def test_misspelt_key_in_settings_names_the_right_one(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    (place / "wrong.yaml").write_text("training: {learning_rat: 0.1}")
    outcome = medseg("train", cohort[1], "--out", "run", "--epochs", 1, "--config", "wrong.yaml")
    assert outcome.code == 2
    assert "did you mean 'learning_rate'" in outcome.err


def test_evaluating_training_cases_says_that_the_numbers_flatter(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    medseg("train", cohort[1], "--out", "run", "--epochs", 1, "--config", "small.yaml", "--no-tracking")
    medseg("predict", "run", cohort[1], "--split", "training", "--out", "masks")
    outcome = medseg(
        "evaluate", cohort[1], "--masks", "masks", "--split", "training", "--out", "evaluation", "--no-tracking"
    )
    assert "their numbers flatter it" in outcome.err, outcome.err
    seen = set(json.loads((place / "evaluation" / "summary.json").read_text())["trained_on"])
    assert seen == set(json.loads((place / "run" / "model" / "model.json").read_text())["trained_on"])


def test_resume_ends_with_the_weights_of_an_uninterrupted_run(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("--config", "small.yaml", "--no-tracking")
    assert medseg("train", cohort[1], "--out", "whole", "--epochs", 10, *common).code == 0

    class Stopped:
        """Stands in for the terminal's bar, and pulls the plug in the middle."""

        def __enter__(self) -> object:
            return self.on_step

        def __exit__(self, *error: object) -> None:
            pass

        def on_step(self, progress: float, loss: float) -> None:
            if progress > 0.55:
                raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Bars, "over_budget", lambda bars, stage: Stopped())
        assert medseg("train", cohort[1], "--out", "broken", "--epochs", 10, *common).code == 130
    resumed = medseg("train", cohort[1], "--out", "broken", "--resume", "--no-tracking")
    assert resumed.code == 0, resumed.err
    whole, broken = (place / name / "model" / "last.safetensors" for name in ("whole", "broken"))
    assert whole.read_bytes() == broken.read_bytes()


def test_budget_in_seconds_is_kept(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    outcome = medseg("train", cohort[1], "--out", "run", "--budget", "20s", "--config", "small.yaml", "--no-tracking")
    assert outcome.code == 0, outcome.err
    rates = [float(row["learning_rate"]) for row in read_table(place / "run" / "curves.csv")]
    assert max(rates) > 0.005
    assert rates[-1] < 0.002


def test_logged_model_predicts_from_mlflow(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    manifest, data = cohort
    assert medseg("train", data, "--out", "run", "--epochs", 1, "--config", "small.yaml").code == 0
    assert medseg("predict", "run", data, "--split", "test", "--out", "masks").code == 0
    mlflow.set_tracking_uri(f"sqlite:///{place / 'mlflow.db'}")
    (run,) = mlflow.search_runs(experiment_names=[manifest.name], output_format="list")
    (logged,) = run.outputs.model_outputs
    model = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
    case = manifest.select("test")[0]
    scan = data / case.images[0]
    (answer,) = model.predict(pandas.DataFrame({"scan": [scan.read_bytes()], "name": [scan.name]})).to_dict("records")
    assert base64.b64decode(answer["mask"]) == (place / "masks" / f"{case.case_id}.nii.gz").read_bytes()


def test_evaluation_says_when_a_patient_was_trained_on_by_another_case(
    place: Path, own_cohort: Path, medseg: Medseg
) -> None:
    content = json.loads((own_cohort / "dataset.json").read_text())
    repeated = next(entry for entry in content["training"] if entry["case_id"].endswith("_1"))
    content["training"].remove(repeated)
    (own_cohort / "dataset.json").write_text(json.dumps(content))
    assert medseg("train", own_cohort, "--out", "run", "--fold", "all", "--epochs", 1, "--config", "small.yaml",
                  "--no-tracking").code == 0  # fmt: skip
    content["training"] = [repeated, next(e for e in content["training"] if e["patient_id"] == repeated["patient_id"])]
    (own_cohort / "later.json").write_text(json.dumps(content))
    assert medseg("predict", "run", own_cohort / "later.json", "--split", "training", "--out", "masks").code == 0
    outcome = medseg("evaluate", own_cohort / "later.json", "--masks", "masks", "--split", "training", "--out", "e",
                     "--no-tracking")  # fmt: skip
    assert "trained on patients of 2 of these cases" in outcome.err


def test_budget_without_time_for_a_step_delivers_nothing(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    outcome = medseg("train", cohort[1], "--out", "run", "--budget", "0.1s", "--config", "small.yaml", "--no-tracking")
    assert outcome.code == 1
    assert "budget must leave time for a first step" in outcome.err
    assert not list((place / "run").rglob("*.safetensors"))


def test_damaged_records_are_clear_errors(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    (place / "masks").mkdir()
    (place / "masks" / "predictions.json").write_text("[]")
    evaluated = medseg("evaluate", cohort[1], "--masks", "masks", "--out", "e", "--no-tracking")
    assert (evaluated.code, "must be as predict wrote it" in evaluated.err) == (1, True)
    (place / "run").mkdir()
    (place / "run" / "run.json").write_text('{"fold": 0}')
    resumed = medseg("train", cohort[1], "--out", "run", "--resume", "--no-tracking")
    assert (resumed.code, "must be readable to resume" in resumed.err) == (1, True)


def test_plan_that_would_swap_sides_is_refused(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    (place / "flip.yaml").write_text("inference: {mirror_axes: [0]}")
    outcome = medseg("train", cohort[1], "--out", "run", "--epochs", 1, "--config", "flip.yaml", "--no-tracking")
    assert outcome.code == 2
    assert "must not flip left and right" in outcome.err
