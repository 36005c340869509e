"""medseg evaluate under a contract, and medseg compare, on masks that were made from the labels."""

from __future__ import annotations

import base64
import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from medseg.evaluation.segmentation import load_contract
from medseg.manifest import save_manifest
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


def test_second_reader_stands_beside_the_model(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    """A reader who draws what the label shows, of two of the three test cases."""
    manifest, root = cohort
    read, unread = manifest.select("test")[:-1], manifest.select("test")[-1]
    for case in read:
        label, grid = read_label(root / str(case.label), case_id=case.case_id)
        write_scan(label[np.newaxis], grid, tmp_path / "reader" / f"{case.case_id}.nii.gz")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    out = tmp_path / "evaluation"
    given = ("--masks", masks, "--split", "test", "--out", out, "--rater", tmp_path / "reader")
    _, printed, said = medseg("evaluate", root, *given, "--tracking-uri", store)
    with (out / "metrics.csv").open(newline="") as file:
        ours = {(row["case_id"], row["label"]): float(row["dice"]) for row in csv.DictReader(file)}
    with (out / "rater.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {row["case_id"] for row in table} == {case.case_id for case in read}
    assert {row["dice"] for row in table} == {"1.000000"}
    content = json.loads((out / "summary.json").read_text())["inter_rater"]
    assert (content["cases"], content["without_reading"]) == (len(read), [unread.case_id])
    liver = next(entry for entry in content["model_against_reader"] if entry["structure"] == "liver")
    mean = np.mean([ours[case.case_id, "liver"] for case in read])
    assert (liver["first"], liver["second"]) == pytest.approx((1.0, mean), abs=1e-6)
    assert f"second reader, {len(read)} cases, 1 without a second reading:" in printed
    assert "the second reading is the label itself, voxel by voxel in every case" in said
    assert f"liver readers agree at Dice 1.0000; the model at {mean:.4f}, {mean - 1:.4f}, too few patients" in printed
    (run,) = mlflow.MlflowClient(store).search_runs([mlflow.MlflowClient(store).search_experiments()[0].experiment_id])
    assert run.data.metrics["test_second_reader/dice/liver"] == 1.0


def test_reading_on_another_grid_is_listed_and_the_masks_are_measured(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    manifest, root = cohort
    first, second, *_ = manifest.select("test")
    label, grid = read_label(root / str(first.label), case_id=first.case_id)
    cut = label[np.newaxis, :-1]
    write_scan(cut, replace(grid, shape=cut.shape[1:]), tmp_path / "reader" / f"{first.case_id}.nii.gz")
    label, grid = read_label(root / str(second.label), case_id=second.case_id)
    write_scan(
        np.where(label[np.newaxis] > 0, 9, 0).astype(np.uint8), grid, tmp_path / "reader" / f"{second.case_id}.nii.gz"
    )
    out = tmp_path / "out"
    done = medseg(
        "evaluate", root, "--masks", masks, "--split", "test", "--out", out, "--rater", tmp_path / "reader",
        "--no-tracking",
    )  # fmt: skip
    assert done.code == 1
    assert f"failed: second reader, case {first.case_id}: second reading must lie on the grid of its label" in done.err
    assert f"failed: second reader, case {second.case_id}: second reading values must be among" in done.err
    assert "number the structures of the second reading as the manifest does" in done.err
    content = json.loads((out / "summary.json").read_text())
    assert content["cases"] == len(manifest.select("test"))
    assert content["failures"] == []
    assert [failure["stage"] for failure in content["inter_rater"]["failures"]] == ["second reader"] * 2
    assert (out / "rater.csv").is_file()


def test_second_reader_of_other_cases_is_refused_before_the_work(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    (tmp_path / "reader").mkdir()
    (tmp_path / "reader" / "somebody.nii.gz").touch()
    given = ("evaluate", cohort[1], "--masks", masks, "--split", "test", "--out", tmp_path / "out", "--no-tracking")
    done = medseg(*given, "--rater", tmp_path / "reader")
    assert done.code == 1
    assert "second reader: reader must hold a label of a case that is measured, found none" in done.err
    assert not (tmp_path / "out").exists()
    assert medseg(*given, "--rater", tmp_path / "none").code == 2
    (tmp_path / "link").symlink_to(masks)
    for same in (masks, tmp_path / "link"):
        done = medseg(*given, "--rater", same)
        assert done.code == 2
        assert f"its folder must be another than that of the masks, got {same.name} for both" in done.err
        assert not (tmp_path / "out").exists()


def test_reader_who_differs_in_one_voxel_is_not_the_label_itself(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path
) -> None:
    manifest, root = cohort
    case = manifest.select("test")[0]
    label, grid = read_label(root / str(case.label), case_id=case.case_id)
    label = label.copy()
    label[tuple(np.argwhere(label > 0)[0])] = 0
    write_scan(label[np.newaxis], grid, tmp_path / "reader" / f"{case.case_id}.nii.gz")
    given = ("--masks", masks, "--split", "test", "--out", tmp_path / "out", "--rater", tmp_path / "reader")
    done = medseg("evaluate", root, *given, "--no-tracking")
    assert done.code == 0, done.err
    assert "the label itself" not in done.err


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


@pytest.fixture
def undrawn(medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Two evaluations of the same masks, the second without its pictures."""
    for name in ("one", "two"):
        evaluate(medseg, cohort[1], masks, tmp_path / name, "--no-tracking")
    shutil.rmtree(tmp_path / "two" / "overlays")
    return tmp_path / "one", tmp_path / "two"


def test_missing_pictures_are_drawn_into_the_comparison(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, undrawn: tuple[Path, Path], tmp_path: Path
) -> None:
    cases = [case.case_id for case in cohort[0].select("test")]
    bare = medseg("compare", *undrawn, "--out", tmp_path / "bare")
    assert bare.code == 0, bare.err
    page = (tmp_path / "bare" / "compare.html").read_text(encoding="utf-8")
    assert (page.count("data:image/png"), page.count(">no picture<")) == (len(cases), len(cases))
    assert "Give <code>compare</code> the dataset" in page
    pictures = ("--dataset", cohort[1], "--masks", masks, "--masks", masks)
    done = medseg("compare", *undrawn, *pictures, "--name", "a/b", "--name", "a b", "--out", tmp_path / "drawn")
    assert done.code == 0, done.err
    assert "picture" not in done.err
    page = (tmp_path / "drawn" / "compare.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 2 * len(cases)
    assert "no picture" not in page
    assert "Give <code>compare</code> the dataset" not in page
    drawn = {path.relative_to(tmp_path / "drawn" / "overlays").as_posix() for path in tmp_path.glob("drawn/*/*/*")}
    assert drawn == {f"a_b_2/{case_id}.png" for case_id in cases}
    for case_id in cases:
        picture = (tmp_path / "drawn" / "overlays" / "a_b_2" / f"{case_id}.png").read_bytes()
        assert base64.b64encode(picture).decode() in page


def test_case_that_cannot_be_drawn_is_a_warning(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, undrawn: tuple[Path, Path], tmp_path: Path
) -> None:
    lost, *others = sorted(masks.iterdir())
    (tmp_path / "fewer").mkdir()
    for mask in others:
        shutil.copy(mask, tmp_path / "fewer")
    pictures = ("--dataset", cohort[1], "--masks", masks, "--masks", tmp_path / "fewer")
    done = medseg("compare", *undrawn, *pictures, "--out", tmp_path / "drawn")
    assert done.code == 0, done.err
    case_id = lost.name.removesuffix(".nii.gz")
    assert f"warning: two: no picture, case {case_id}: a mask must lie in fewer, found none" in done.err
    page = (tmp_path / "drawn" / "compare.html").read_text(encoding="utf-8")
    assert page.count(">no picture<") == 1
    assert "Give <code>compare</code> the dataset" not in page
    assert "none could be drawn from the dataset and the masks that were given" in page
    assert "another version of the dataset" not in page


def test_dataset_of_another_version_or_without_a_case_is_said(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, undrawn: tuple[Path, Path], tmp_path: Path
) -> None:
    manifest, root = cohort
    gone, *kept = manifest.select("test")
    save_manifest(manifest.model_copy(update={"cases": tuple(kept)}), tmp_path / "fewer.json")
    pictures = ("--dataset", tmp_path / "fewer.json", "--data-root", root, "--masks", masks, "--masks", masks)
    done = medseg("compare", *undrawn, *pictures, "--out", tmp_path / "drawn")
    assert f"warning: case {gone.case_id}: no picture, as the dataset does not have it" in done.err
    said = "pictures show the labels of another version of the dataset than one, two measured"
    assert f"warning: {said}" in done.err
    assert f"</strong> {said}." in (tmp_path / "drawn" / "compare.html").read_text(encoding="utf-8")
    assert done.code == 0


def test_pictures_of_another_dataset_are_refused(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, undrawn: tuple[Path, Path], tmp_path: Path
) -> None:
    manifest, root = cohort
    save_manifest(manifest.model_copy(update={"name": "other"}), tmp_path / "other.json")
    pictures = ("--dataset", tmp_path / "other.json", "--data-root", root, "--masks", masks, "--masks", masks)
    done = medseg("compare", *undrawn, *pictures, "--out", tmp_path / "drawn")
    assert done.code == 1
    assert f"compare: dataset must be that of evaluation one, {manifest.name}, got other; give the dataset" in done.err
    assert not (tmp_path / "drawn").exists()


def test_masks_of_another_number_than_evaluations_are_a_usage_error(
    medseg: Medseg, cohort: tuple[Manifest, Path], masks: Path, undrawn: tuple[Path, Path], tmp_path: Path
) -> None:
    for given in (("--dataset", cohort[1], "--masks", masks), ("--dataset", cohort[1]), ("--masks", masks) * 2):
        done = medseg("compare", *undrawn, *given, "--out", tmp_path / "out")
        assert done.code == 2
        assert "a folder of masks for each of 2 evaluations, got" in done.err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("metrics: [dices]\n", "contract.yaml: metrics must be a list of metrics among dice"),
        ("regions: {organs: [spleen]}\n", "contract.yaml: regions.organs must join labels"),
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
