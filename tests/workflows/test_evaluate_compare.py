"""medseg evaluate under a contract, and medseg compare, on masks that were made from the labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import mlflow
import numpy as np
import pytest
from medseg.evaluation.segmentation import load_contract
from medseg.records import Manifest
from medseg.scans import read_label, write_scan

from tests.conftest import Medseg

CONTRACT = """
metrics: [dice, hd95_mm, surface_dice, volume_difference_ml]
tolerances_mm: [2.0]
regions: {organs: [liver, kidney_right, kidney_left]}
objects: [organs]
"""


@pytest.fixture
def masks(cohort: tuple[Manifest, Path], tmp_path: Path) -> Path:
    """The labels of the test cases moved by a voxel."""
    manifest, root = cohort
    for case in manifest.select("test"):
        label, grid = read_label(root / str(case.label), case_id=case.case_id)
        write_scan(np.roll(label, 1, axis=0)[np.newaxis], grid, tmp_path / "masks" / f"{case.case_id}.nii.gz")
    return tmp_path / "masks"


def evaluate(medseg: Medseg, data: Path, masks: Path, out: Path, *more: object) -> str:
    outcome = medseg("evaluate", data, "--masks", masks, "--split", "test", "--out", out, *more)
    assert outcome.code == 0, outcome.err
    return str(outcome.out)


def test_contract_of_a_file_decides_what_is_measured_printed_and_kept(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    contract, store = tmp_path / "contract.yaml", f"sqlite:///{tmp_path / 'mlflow.db'}"
    contract.write_text(CONTRACT)
    out = tmp_path / "evaluation"
    printed = evaluate(medseg, cohort[1], masks, out, "--contract", contract, "--tracking-uri", store)
    assert "organs surface Dice 2 mm" in printed
    assert "too few patients for an interval: 2" in printed
    with (out / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {"hd95_mm", "surface_dice_2mm", "objects_f1"} <= set(table[0])
    assert "iou" not in table[0]
    assert {row["label"] for row in table} == {*cohort[0].foreground, "organs"}
    assert {row["objects_f1"] == "" for row in table if row["label"] != "organs"} == {True}
    content = json.loads((out / "summary.json").read_text())
    bound = load_contract(contract).bound_to(cohort[0].foreground)
    assert content["contract_digest"] == bound.digest
    assert content["dataset"]["name"] == cohort[0].name
    assert content["patients"] == {case.case_id: case.patient_id for case in cohort[0].select("test")}
    client = mlflow.MlflowClient(store)
    (experiment,) = [one for one in client.search_experiments() if one.name == cohort[0].name]
    assert "cases of" in experiment.tags["mlflow.note.content"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "evaluate evaluation, test"
    assert run.data.metrics["test/dice/organs"] == pytest.approx(
        np.mean([float(row["dice"]) for row in table if row["label"] == "organs"]), abs=1e-5
    )
    assert not [name for name in run.data.metrics if name.startswith("volume_")]
    assert bound.digest in run.data.tags["mlflow.note.content"]


def test_evaluations_are_compared_by_their_folders(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        evaluate(medseg, cohort[1], masks, tmp_path / name, "--no-tracking")
    done = medseg("compare", tmp_path / "one", tmp_path / "two", "--out", tmp_path / "comparison")
    assert done.code == 0, done.err
    assert "two, against one:" in done.out
    assert "too few patients to tell" in done.out
    assert (tmp_path / "comparison" / "compare.html").read_text(encoding="utf-8").count("data:image/png") > 0
    contract = tmp_path / "contract.yaml"
    contract.write_text(CONTRACT)
    evaluate(medseg, cohort[1], masks, tmp_path / "three", "--contract", contract, "--no-tracking")
    refused = medseg("compare", tmp_path / "one", tmp_path / "three", "--out", tmp_path / "again")
    assert refused.code == 1
    assert "must be under one contract" in refused.err
    assert "tolerances_mm: [1.0, 3.0] against [2.0]" in refused.err


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("metrics: [dices]\n", "contract contract.yaml: metrics.0"),
        ("regions: {organs: [spleen]}\n", "regions.organs must join labels"),
        ("- dice\n", "must hold a mapping"),
    ],
)
def test_contract_that_does_not_fit_is_a_usage_error_before_any_case(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path, text: str, fact: str
) -> None:
    contract = tmp_path / "contract.yaml"
    contract.write_text(text)
    done = medseg("evaluate", cohort[1], "--masks", masks, "--out", tmp_path / "out", "--contract", contract)
    assert done.code == 2
    assert fact in done.err
    assert not (tmp_path / "out").exists()
