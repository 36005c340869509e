"""The slice classifier's route on made-up patients, by the commands that a user types."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import mlflow
import nibabel
import numpy as np
import pytest
import yaml
from medseg.records import Manifest

from tests.conftest import Medseg

SEGMENTER = {
    "network": {
        "channels": [4, 8, 8],
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 3,
        "blocks": [1, 1, 1],
        "decoder_blocks": [1, 1],
    },
    "training": {"batch_size": 2, "learning_rate": 0.01},
}
CLASSIFIER = {
    "slices": {"pixel_mm": 10.0, "size": [32, 32]},
    "network": {"architecture": "resnet18", "width": 8, "stem": "small", "blocks": [1, 1, 1]},
    "training": {"batch_size": 16, "learning_rate": 0.01},
}
EPOCHS = 30


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with small networks' settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    mlflow.set_tracking_uri(None)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SEGMENTER))
    (tmp_path / "slices.yaml").write_text(yaml.safe_dump(CLASSIFIER))
    return tmp_path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_route_from_label_volumes_to_triage_gate_and_flags(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    manifest, data = cohort
    trained = medseg(
        "classify", "train", data, "--out", "classifier", "--epochs", EPOCHS, "--config", "slices.yaml", "--context", 1
    )
    assert trained.code == 0, trained.err
    model = json.loads((place / "classifier" / "model" / "classifier.json").read_text())
    assert model["targets"]["classes"] == list(manifest.foreground)
    assert model["network"]["in_channels"] == 3
    assert model["calibration"]["cases"] > 0

    found = json.loads((place / "classifier" / "validation" / "classification.json").read_text())
    aurocs = [entry["measures"]["auroc"]["value"] for entry in found["slice"]["classes"]]
    assert min(aurocs) > 0.8  # organs lie at much the same height in every made-up patient

    predicted = medseg("classify", "predict", "classifier", data, "--split", "test", "--out", "triage")
    assert predicted.code == 0, predicted.err
    tests = {case.case_id: case for case in manifest.select("test")}
    assert {row["case_id"] for row in rows_of(place / "triage" / "studies.csv")} == set(tests)
    assert "<html" in (place / "triage" / "triage.html").read_text(encoding="utf-8")
    slices = rows_of(place / "triage" / "slices.csv")
    for case_id, case in tests.items():
        shape = nibabel.load(data / case.images[0]).shape
        mine = [row for row in slices if row["case_id"] == case_id]
        assert len(mine) == shape[int(mine[0]["axis"])]

    evaluated = medseg("classify", "evaluate", "classifier", data, "--fold", 0, "--out", "evaluation")
    assert evaluated.code == 0, evaluated.err
    again = json.loads((place / "evaluation" / "classification.json").read_text())
    assert [entry["measures"]["auroc"]["value"] for entry in again["slice"]["classes"]] == pytest.approx(aurocs)

    segmented = medseg("train", data, "--out", "run", "--epochs", 2, "--config", "small.yaml")
    assert segmented.code == 0, segmented.err
    whole = medseg("predict", "run", data, "--split", "test", "--check", "classifier", "--out", "whole")
    assert whole.code == 0, whole.err
    gated = medseg("predict", "run", data, "--split", "test", "--gate", "classifier", "--out", "gated")
    assert gated.code == 0, gated.err
    assert "of the slices segmented" in gated.out
    record = json.loads((place / "gated" / "predictions.json").read_text())
    for case in record["cases"]:
        gate, mask = case["gate"], np.asarray(nibabel.load(place / "gated" / case["mask"]).dataobj)
        kept = np.zeros(mask.shape[gate["axis"]], bool)
        kept[gate["start"] : gate["stop"]] = True
        inside = np.moveaxis(mask, gate["axis"], 0)
        full = np.moveaxis(np.asarray(nibabel.load(place / "whole" / case["mask"]).dataobj), gate["axis"], 0)
        assert not inside[~kept].any()
        np.testing.assert_array_equal(inside[kept], full[kept])
        assert 0 <= case["quality"]["disagreement"] <= 1

    tried = medseg("classify", "gate", "run", "classifier", data, "--fold", 0, "--sensitivity", 0.95, "--out", "trial")
    assert tried.code == 0, tried.err
    (entry,) = json.loads((place / "trial" / "gate.json").read_text())["gates"]
    assert entry["sensitivity"] == 0.95
    assert 0 < entry["kept"] <= 1

    checked = medseg("predict", "run", data, "--fold", 0, "--check", "classifier", "--out", "checked")
    assert checked.code == 0, checked.err
    measured = medseg("evaluate", data, "--masks", "checked", "--fold", 0, "--out", "measured")
    assert measured.code == 0, measured.err
    power = json.loads((place / "measured" / "summary.json").read_text())["quality"]
    assert power["failed"] + power["kept"] == len(manifest.cases) - len(tests) - len(model["trained_on"])

    client = mlflow.MlflowClient()
    (experiment,) = [found for found in client.search_experiments() if found.name == manifest.name]
    stages = {run.data.tags["medseg.stage"] for run in client.search_runs([experiment.experiment_id])}
    assert stages == {"classify train", "classify evaluate", "classify gate", "train", "evaluate"}


def test_studies_labelled_in_a_table_are_learned_by_pooling(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    manifest, data = cohort
    lines = ["case_id,tall", *(f"{case.case_id},{n % 2}" for n, case in enumerate(manifest.cases))]
    (place / "findings.csv").write_text("\n".join(lines))
    done = medseg(
        "classify", "train", data, "--labels", "findings.csv", "--pooling", "attention", "--out", "run", "--epochs", 1,
        "--config", "slices.yaml", "--context", 0, "--no-tracking",
    )  # fmt: skip
    assert done.code == 0, done.err
    model = json.loads((place / "run" / "model" / "classifier.json").read_text())
    assert (model["targets"]["source"], model["network"]["pooling"]) == ("csv", "attention")
    evaluated = medseg(
        "classify", "evaluate", "run", data, "--labels", "findings.csv", "--fold", 0, "--out", "evaluation",
        "--no-tracking",
    )  # fmt: skip
    assert evaluated.code == 0, evaluated.err
    study = json.loads((place / "evaluation" / "classification.json").read_text())["study"]["classes"][0]
    assert study["positives"] + study["negatives"] > 0


def test_compared_networks_share_slices_and_steps(place: Path, cohort: tuple[Manifest, Path], medseg: Medseg) -> None:
    _, data = cohort
    (place / "coarse.yaml").write_text(
        yaml.safe_dump({"slices": {"pixel_mm": 16.0, "size": [32, 32]}, "training": {"batch_size": 8}})
    )
    done = medseg(
        "classify", "compare", data, "--networks", "plain18,resnet18", "--epochs", 1, "--config", "coarse.yaml",
        "--out", "comparison",
    )  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((place / "comparison" / "comparison.json").read_text())
    assert found["error"] == "top-1 error"
    assert [network["family"] for network in found["networks"]] == ["plain", "residual"]
    assert [network["depth"] for network in found["networks"]] == [18, 18]
    for name in ("error_against_cost", "error_against_depth", "gradient_flow", "training_loss"):
        assert (place / "comparison" / f"{name}.png").stat().st_size > 10_000


def test_segmentation_run_gives_its_encoder_to_the_classifier(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    _, data = cohort
    segmented = medseg("train", data, "--out", "run", "--epochs", 1, "--config", "small.yaml", "--no-tracking")
    assert segmented.code == 0, segmented.err
    done = medseg("classify", "train", data, "--init", "run", "--out", "classifier", "--epochs", 1, "--no-tracking")
    assert done.code == 0, done.err
    plan = yaml.safe_load((place / "classifier" / "plan.yaml").read_text())
    segmenter = yaml.safe_load((place / "run" / "plan.yaml").read_text())
    assert plan["network"]["architecture"] == "encoder"
    assert plan["network"]["encoder"]["channels"] == SEGMENTER["network"]["channels"]
    assert plan["slices"]["normalisation"] == segmenter["preprocess"]["normalisation"]
    assert plan["slices"]["pixel_mm"] == max(segmenter["preprocess"]["spacing_mm"][:2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "spleen"], "classes must be different ones of"),
        (["--labels", "nothing.csv"], "labels must be 'label', 'slice_labels' or a CSV file"),
        (["--kind", "multiclass", "--pooling", "max"], "kind multiclass is of slices"),
        (["--budget", "1m", "--epochs", "2"], "--budget and --epochs exclude each other"),
    ],
)
def test_choices_that_exclude_each_other_are_told(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg, arguments: list[str], message: str
) -> None:
    done = medseg("classify", "train", cohort[1], "--out", "run", *arguments)
    assert done.code == 2
    assert message in done.err


def test_decided_plan_refuses_options_that_would_change_it(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    (place / "plan.yaml").write_text("{}")
    done = medseg("classify", "train", cohort[1], "--out", "run", "--plan", "plan.yaml", "--plane", "sagittal")
    assert done.code == 2
    assert "--plane is decided by the plan" in done.err


def test_classifier_without_validation_cases_checks_no_mask_and_resumes_only_with_its_own_table(
    place: Path, cohort: tuple[Manifest, Path], medseg: Medseg
) -> None:
    manifest, data = cohort
    settings = ["--config", "slices.yaml", "--context", 0, "--no-tracking"]
    done = medseg("classify", "train", data, "--out", "all", "--fold", "all", "--epochs", 1, *settings)
    assert done.code == 0, done.err
    segmented = medseg("train", data, "--out", "run", "--epochs", 1, "--config", "small.yaml", "--no-tracking")
    assert segmented.code == 0, segmented.err
    checked = medseg("predict", "run", data, "--split", "test", "--check", "all", "--out", "masks")
    assert checked.code == 2
    assert "no mask can be flagged" in checked.err

    lines = [f"{case.case_id},{n % 2}" for n, case in enumerate(manifest.cases)]
    (place / "findings.csv").write_text("\n".join(["case_id,tall", *lines]))
    first = medseg("classify", "train", data, "--labels", "findings.csv", "--out", "csv", "--epochs", 1, *settings)
    assert first.code == 0, first.err
    (place / "findings.csv").write_text("\n".join(["case_id,tall", *(line[:-1] + "1" for line in lines)]))
    again = medseg(
        "classify", "train", data, "--labels", "findings.csv", "--out", "csv", "--epochs", 2, "--resume",
        "--no-tracking",
    )  # fmt: skip
    assert again.code == 1
    assert "the file of labels must be the one that the run began with" in again.err
