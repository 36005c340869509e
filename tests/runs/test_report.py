"""A run as a report: what its folders hold is on the page, what they lack is said, and nothing of the machine."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import medseg
import pytest
from medseg.delivery.report import Table, Text
from medseg.errors import CheckpointError, ConfigError, DeliveryError, EvaluationError, ManifestError
from medseg.evaluation.segmentation import as_text
from medseg.inference.segmentation import ModelCard
from medseg.planning import load_plan
from medseg.records import CaseMetrics
from medseg.runs.report import ReportResult
from medseg.runs.report.cases import _caption as case_caption
from medseg.runs.report.cases import worst_cases
from medseg.runs.report.classification import _caption as picture_caption
from medseg.runs.report.plain import setting_text, without_folders
from medseg.runs.report.segmentation import grid_limits
from medseg.runs.report.settings import _outlook
from medseg.runs.report.source import open_run
from medseg.runs.report.structures import subgroup_table

from tests.remedies.classification_runs import evaluate as evaluate_classifier
from tests.remedies.classification_runs import trained
from tests.remedies.runs import train, write_patients


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients at two sites, a run of one epoch, and evaluations of its validation and of all cases; read-only."""
    place = tmp_path_factory.mktemp("place")
    write_patients(place, count=4, licence="CC-BY-4.0", source="a made-up hospital")
    path = place / "dataset.json"
    content = json.loads(path.read_text())
    for n, case in enumerate(content["training"]):
        case["site"] = "north" if n < 3 else "south"
    path.write_text(json.dumps(content))
    train(place, "run", budget=None)
    for name, choice in (("fold", {"fold": 0}), ("every", {})):
        medseg.predict(place / "run", place, out=place / f"{name}_masks", device="cpu", **choice)
        medseg.evaluate(place, masks=place / f"{name}_masks", out=place / name, tracking=False, **choice)
    return place


@pytest.fixture
def run(place: Path, tmp_path: Path) -> Path:
    """A copy of the run, to damage."""
    return Path(shutil.copytree(place / "run", tmp_path / "run"))


def page_of(result: ReportResult) -> str:
    """The text of the page as a browser shows it."""
    text = (result.folder / "report.html").read_text(encoding="utf-8")
    return unescape(text)


def cells_of(page: str) -> set[str]:
    """Texts of table cells, without what stands below a number."""
    return {
        re.sub(r"<span.*", "", cell, flags=re.DOTALL) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page, re.DOTALL)
    }


def test_every_setting_with_its_reason_is_on_the_page(place: Path, tmp_path: Path) -> None:
    cells = cells_of(page_of(medseg.report(place / "run", out=tmp_path / "out")))
    plan = load_plan(place / "run" / "plan.yaml")
    assert plan.reasons
    for name, reason in plan.reasons.items():
        assert {name, reason} <= cells
    assert setting_text(plan.training.patch_size) in cells
    settings = plan.model_dump(exclude={"reasons", "dataset", "expected", "fingerprint"})
    assert {f"{part}.{key}" for part, values in settings.items() for key in values} <= cells


def test_numbers_are_those_of_the_files(place: Path, tmp_path: Path) -> None:
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[place / "every"])
    cells = cells_of(page_of(result))
    for path in (place / "run" / "validation.json", place / "every" / "summary.json"):
        content = json.loads(path.read_text())
        for entry in content["structures"]:
            if entry["cases"]:
                assert as_text(entry["metric"], entry["mean"], 4) in cells
    with (place / "every" / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert {row["case_id"], f"{float(row['dice']):.4f}"} <= cells
    card = (result.folder / "model_card.md").read_text(encoding="utf-8")
    assert f"mean Dice {content['means']['dice']:.4f} over 1 structure in 4 cases of boxes 1" in card


def test_nothing_is_loaded_and_no_folder_of_the_machine_is_named(place: Path, tmp_path: Path) -> None:
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[place / "every"], dataset=place)
    for path in result.files:
        text = path.read_text(encoding="utf-8")
        assert str(place) not in text
        assert str(tmp_path) not in text
        assert "sqlite" not in text
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r"""(?:src|href)=["']([^"']*)|url\(([^)]*)\)""", page)
    assert {(first or second)[:5] for first, second in sources} == {"data:", "#part"}
    assert "@import" not in page
    assert "<link" not in page
    assert "default-src 'none'" in page
    assert "not a medical device" in page


def test_cases_seen_in_training_are_warned_of_on_the_page_and_in_the_card(place: Path, tmp_path: Path) -> None:
    seen = medseg.report(place / "run", out=tmp_path / "seen", evaluations=[place / "every"])
    (warning,) = seen.warnings
    assert warning.startswith("2 of the evaluated cases are of patients that the model was trained on")
    assert page_of(seen).count(warning) == 2  # beside the numbers, and among the limits
    assert warning in (seen.folder / "model_card.md").read_text(encoding="utf-8")
    clean = medseg.report(place / "run", out=tmp_path / "clean", evaluations=[place / "fold"])
    assert clean.warnings == ()


def changed(evaluation: Path, target: Path, **changes: Any) -> Path:
    """A copy of an evaluation with other fields in its summary; those of `model` are changed one by one."""
    shutil.copytree(evaluation, target)
    content = json.loads((target / "summary.json").read_text())
    if isinstance(changes.get("model"), dict):
        changes["model"] = {**content["model"], **changes["model"]}
    (target / "summary.json").write_text(json.dumps({**content, **changes}))
    return target


@pytest.mark.parametrize(
    ("model", "seen", "why"),
    [
        ({"weights_digest": "0" * 64}, [], "its weights are neither the last nor the best of this run"),
        ({"weights_digest": None, "run_id": "b" * 32}, [], "its training was another MLflow run"),
        ({"weights_digest": None, "plan_digest": "0" * 64}, [], "its plan or its dataset differs"),
        ({"weights_digest": None}, ["c0", "c2"], "it was trained on other cases"),
    ],
)
def test_evaluation_of_another_model_is_told_from_the_run_s(
    place: Path, run: Path, tmp_path: Path, model: dict[str, Any], seen: list[str], why: str
) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**record, "mlflow_run_id": "a" * 32, "tracking_uri": None}))
    other = changed(place / "fold", tmp_path / "fold", model=model, trained_on=seen)
    result = medseg.report(run, out=tmp_path / "out", evaluations=[other], tracking=False)
    assert result.warnings[0] == (f"The evaluation is of another model: the masks are not those of this run, {why}.")
    page = page_of(result)
    assert "<h2>Evaluation: fold (of another model)</h2>" in page
    assert "<dt>Weights</dt><dd>of another model</dd>" in page
    assert "No evaluation of this model was given" in page


def test_fold_with_the_same_plan_is_another_model(place: Path, tmp_path: Path) -> None:
    train(place, str(tmp_path / "other"), fold="1", plan=place / "run" / "plan.yaml", config=None)
    medseg.predict(tmp_path / "other", place, out=tmp_path / "masks", device="cpu", fold=0)
    medseg.evaluate(place, masks=tmp_path / "masks", out=tmp_path / "evaluation", tracking=False, fold=0)
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[tmp_path / "evaluation"])
    assert result.warnings[0].startswith("The evaluation is of another model")
    older = changed(tmp_path / "evaluation", tmp_path / "older", model={"weights_digest": None})
    result = medseg.report(place / "run", out=tmp_path / "again", evaluations=[older])
    assert "it was trained on other cases" in result.warnings[0]


@pytest.mark.parametrize("is_older", [False, True])
def test_own_evaluation_is_no_other_model_s(place: Path, tmp_path: Path, *, is_older: bool) -> None:
    older = {"weights_digest": None, "run_id": None, "weights": None} if is_older else {}
    evaluation = changed(place / "every", tmp_path / "every", model=older)
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[evaluation])
    assert [text for text in result.warnings if "another model" in text] == []
    assert f"<dt>Weights</dt><dd>{'not stated' if is_older else 'last'}</dd>" in page_of(result)


def test_masks_of_an_unknown_model_are_warned_of(place: Path, tmp_path: Path) -> None:
    unknown = changed(place / "fold", tmp_path / "fold", model=None)
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[unknown])
    assert "does not say which model" in result.warnings[0]


def test_best_weights_are_said_to_be_chosen_by_the_cases_only_where_they_were_measured(
    place: Path, run: Path, tmp_path: Path
) -> None:
    sentence = "The best weights, which the evaluation best is of, were chosen by validation cases that are among its"
    last = page_of(medseg.report(run, out=tmp_path / "last", evaluations=[place / "fold"]))
    assert "best weights" not in last
    (run / "model" / "best.safetensors").write_bytes(b"others")
    digest = hashlib.sha256(b"others").hexdigest()
    evaluation = changed(place / "fold", tmp_path / "best", model={"weights": "best", "weights_digest": digest})
    best = page_of(medseg.report(run, out=tmp_path / "out", evaluations=[evaluation]))
    assert "<dt>Weights</dt><dd>best</dd>" in best
    assert sentence in best


def test_run_without_a_record_claims_nothing_of_its_validation(place: Path, run: Path, tmp_path: Path) -> None:
    (run / "run.json").unlink()
    page = page_of(medseg.report(run, out=tmp_path / "out", evaluations=[place / "every"], dataset=place))
    assert "of neither its training nor its validation" not in page
    assert "2 of its training, 2 not of its training; whether of its validation, is not known" in page
    assert "<dt>Training patients</dt><dd>2 patients</dd>" in page
    assert "<dt>Validation patients</dt><dd>not known without run.json</dd>" in page
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert ["site", "north", "1", "0"] in rows  # training and test alone
    content = json.loads((place / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(content | {"licence": "another"}))
    with pytest.raises(ManifestError, match="must be the one that the run was trained on"):
        medseg.report(run, out=tmp_path / "other", dataset=tmp_path)


@pytest.mark.parametrize("damage", [lambda record: "{", lambda record: json.dumps({**record, "fold": "x"})])
def test_damaged_record_leaves_mlflow_alone_and_the_report_whole(
    place: Path, run: Path, tmp_path: Path, damage: Callable[[dict[str, Any]], str]
) -> None:
    (run / "run.json").write_text(damage(json.loads((run / "run.json").read_text())))
    with patch("medseg.runs.report.report.attach_pages") as attach:
        result = medseg.report(run, out=tmp_path / "out", dataset=place)
    attach.assert_not_called()
    assert all(path.is_file() for path in result.files)


def test_training_that_ended_shows_its_length_and_cost(place: Path, tmp_path: Path) -> None:
    result = medseg.report(place / "run", out=tmp_path / "out")
    page, cost = page_of(result), json.loads((place / "run" / "model" / "model.json").read_text())["cost"]
    assert result.warnings == ()
    assert "did not end" not in page
    for name, value in {
        "Asked for": "1 epoch",
        "Last validation on the way": f"at step {cost['steps']}",
        "Steps": str(cost["steps"]),
        "Time of the training": f"{cost['training_s'] / 60:.1f} min",
        "Device": cost["device"],
        "Multiply-adds per window": f"{cost['multiply_adds_per_window']:,}",
    }.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    assert f"<dt>Reached</dt><dd>{cost['steps']} step, 1 epoch, " in page


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        ("cost", "model.json holds no cost, which is written at the end"),
        ("validation.json", "there is no validation.json"),
        ("curves", "model.json is of step 1, and the curves go on to step 9"),
    ],
)
def test_training_that_did_not_end_is_told_from_one_that_did(run: Path, tmp_path: Path, damage: str, why: str) -> None:
    if damage == "cost":
        card = json.loads((run / "model" / "model.json").read_text())
        del card["cost"]
        (run / "model" / "model.json").write_text(json.dumps(card))
    elif damage == "curves":
        with (run / "curves.csv").open("a") as file:
            file.write("9,9,1,1,1,90\n")
    else:
        (run / damage).unlink()
    result = medseg.report(run, out=tmp_path / "out")
    page = page_of(result)
    assert result.warnings[0].startswith(f"The training did not end: {why}")
    assert page.count(result.warnings[0]) == 2  # with the training, and among the limits
    assert "<dt>State</dt><dd>the training did not end</dd>" in page
    if damage == "curves":
        assert "Reached: 9 steps, 9 epochs, 1.5 min; asked for: 1 epoch" in page
        assert "<dd>at step 1, 8 steps before the last</dd>" in page


def reader_of(content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Fields of a second reader on two cases, one of which the other has no number for."""
    pair = {"structure": "box", "metric": "dice", "first": 0.91, "second": 0.9, "difference": -0.01}
    pair |= {"low": -0.02, "high": 0.01, "p_value": 0.5, "corrected_p": 0.5, "cases": 2, "patients": 2}
    pair |= {"second_better": 1, "first_better": 1, "undefined_in_one": 1, "verdict": "neither"}
    reader = {"cases": 2, "means": content["means"], "structures": content["structures"], "failures": []}
    return {"inter_rater": {**reader, "model_against_reader": [pair], "without_reading": ["c2"], **changes}}


def test_second_reader_is_shown_with_coverage_failures_and_verdict(place: Path, tmp_path: Path) -> None:
    content = json.loads((place / "fold" / "summary.json").read_text())
    failures = [
        {"case_id": "c2", "stage": "second reader", "reason": "second reader, label /home/jane/c2.nii is empty"}
    ]
    evaluation = changed(place / "fold", tmp_path / "fold", **reader_of(content, failures=failures))
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", evaluations=[evaluation]))
    assert "labels of 2 cases were measured; 1 case without a second reading." in page
    assert "second reader, label c2.nii is empty" in page
    assert {"box", "may be chance", "0.9100", "0.9000", "2"} <= cells_of(page)
    empty = {"cases": 0, "structures": [], "means": {}, "model_against_reader": []}
    nothing = changed(place / "fold", tmp_path / "none", **reader_of(content, **empty))
    page = page_of(medseg.report(place / "run", out=tmp_path / "again", evaluations=[nothing]))
    assert "none of the labels could be measured" in page
    assert "A second reader, measured likewise" not in page


@pytest.mark.parametrize(
    ("dataset", "limit", "origin"),
    [
        ({"name": "boxes", "version": "2", "digest": "0" * 64}, "No evaluation is of another dataset", "2 of the run"),
        ({"name": "spheres", "version": "1", "digest": "0" * 64}, None, "2 of another dataset"),
        ({}, "Whether an evaluation is of another dataset is not stated", "2 of a dataset that is not stated"),
    ],
)
def test_test_is_external_only_on_a_dataset_of_another_name(
    place: Path, tmp_path: Path, dataset: dict[str, str], limit: str | None, origin: str
) -> None:
    evaluation = changed(place / "fold", tmp_path / "fold", dataset=dataset)
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", evaluations=[evaluation]))
    assert f"<dt>Cases</dt><dd>{origin}" in page
    if limit is None:
        assert "another dataset is" not in page
        assert "No evaluation is of another dataset" not in page
    else:
        assert limit in page


def test_training_of_all_folds_is_reported_by_one_of_them(tmp_path: Path) -> None:
    write_patients(tmp_path)
    train(tmp_path, "folds", fold="all-folds")
    with pytest.raises(CheckpointError, match="got that of all folds") as raised:
        medseg.report(tmp_path / "folds", out=tmp_path / "out")
    folder = tmp_path / "folds"
    assert (
        raised.value.remedy
        == f"give the folder of one fold, such as {folder / 'fold_0'}, and {folder} as an evaluation"
    )
    result = medseg.report(tmp_path / "folds" / "fold_0", out=tmp_path / "out", evaluations=[tmp_path / "folds"])
    assert result.warnings == (
        "The evaluation is of the networks of folds 0, 1, each on cases it has not seen, not of one.",
    )


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nno more", None])
def test_pictures_that_are_broken_are_among_the_missing(run: Path, tmp_path: Path, content: bytes | None) -> None:
    path = sorted((run / "overlays").glob("*.png"))[0]
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    result = medseg.report(run, out=tmp_path / "out")
    assert f"The picture {path.name} cannot be read: it is damaged." in result.missing


def test_captions_keep_the_case_of_names() -> None:
    assert picture_caption(Path("grad_cam_0_Left_Lung.png")) == "Grad-CAM 0: Left Lung"
    assert picture_caption(Path("slice_roc.png")) == "Slice roc"
    assert case_caption(Path("worst-Left-Lung_Case_1.png")) == "Worst of Left-Lung: Case_1"
    assert case_caption(Path("worst2_A.png")) == "Worst 2: A"


def test_limits_of_a_run_on_pictures_are_of_pixels(place: Path) -> None:
    flat = replace(open_run(place / "run", None, None))
    shapes = flat.card.network.model_copy(update={"spatial_dims": 2})
    flat = replace(flat, card=flat.card.model_copy(update={"network": shapes}))
    assert isinstance(flat.card, ModelCard)
    text = grid_limits(flat, flat.card)
    assert "pixels much coarser" in text
    assert "scan" not in text
    assert "voxel" not in text


def test_outlook_without_grids_has_no_column_of_them() -> None:
    def columns(spacing: tuple[float, ...] | None) -> list[str]:
        one = SimpleNamespace(budget="1h", steps=9, views_per_scan=2.0, spacing_mm=spacing, shortfall=None)
        table = _outlook(SimpleNamespace(outlook=[one]), scan="picture")  # type: ignore[arg-type]  # no more is read
        assert len(table.rows[0].cells) == len(table.columns)
        return list(table.columns)

    assert "Grid in mm" in columns((1.0, 1.0, 1.0))
    assert columns(None) == ["Budget", "Steps", "Views per picture", "Dice expected to be lost"]


def test_counts_are_in_the_words_of_one(place: Path, tmp_path: Path) -> None:
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", dataset=place, evaluations=[place / "fold"]))
    assert "1 structures" not in page
    assert "patients: " not in page
    assert "trained on 2 cases of 2 patients, few" in page


def test_worst_cases_come_with_the_pictures_of_the_evaluation(place: Path, tmp_path: Path) -> None:
    own = page_of(medseg.report(place / "run", out=tmp_path / "own"))
    assert own.count("data:image/png") == len(list((place / "run" / "overlays").glob("*.png"))) > 0
    given = page_of(medseg.report(place / "run", out=tmp_path / "given", evaluations=[place / "every"]))
    assert given.count("data:image/png") == len(list((place / "every" / "overlays").glob("*.png"))) > 2
    assert given.index("Worst: ") < given.index("Worst 2: ") < given.index("Best: ")


def subgroup(group: str, mean: float, *, is_worst: bool) -> dict[str, Any]:
    facts = {"structure": "box", "metric": "dice", "by": "site", "low": None, "high": None, "cases": 2, "patients": 2}
    return {**facts, "group": group, "mean": mean, "is_worst": is_worst}


def test_worst_subgroup_is_marked_unless_all_are_equal(place: Path, tmp_path: Path) -> None:
    def page_with(north: float, out: str) -> str:
        parts = [subgroup("north", north, is_worst=True), subgroup("south", 0.5, is_worst=False)]
        evaluation = changed(place / "every", tmp_path / f"{out}_evaluation", subgroups=parts)
        return page_of(medseg.report(place / "run", out=tmp_path / out, evaluations=[evaluation]))

    (row,) = re.findall(r'<tr class="marked">(.*?)</tr>', page_with(0.4, "one"), re.DOTALL)
    assert "<td>north</td>" in row
    assert "worst" in row.rsplit("<td", 1)[1]
    assert '<tr class="marked">' not in page_with(0.5, "two")


def test_missing_subgroups_name_all_that_a_manifest_may_state() -> None:
    (text,) = subgroup_table([])
    assert isinstance(text, Text)
    assert "no site, scanner, modality, sex or age that differs" in text.text


def test_curves_are_drawn_and_end_where_the_files_end(place: Path, tmp_path: Path) -> None:
    page = page_of(medseg.report(place / "run", out=tmp_path / "out"))
    assert page.count("<polyline") == 3
    with (place / "run" / "validation_curve.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert f"{float(last['score']):.4g} at the end" in page
    assert float(last["score"]) == pytest.approx(
        json.loads((place / "run" / "validation.json").read_text())["means"]["dice"], abs=1e-4
    )


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("curves.csv", None, "Loss and learning rate cannot be drawn: curves.csv is not in the run folder."),
        ("curves.csv", "step,train_loss\n1,x\n", "Loss and learning rate cannot be drawn: curves.csv is damaged."),
        ("curves.csv", "step,train_loss\n1,2,3\n", "Loss and learning rate cannot be drawn: curves.csv is damaged."),
        ("curves.csv", "", "Loss and learning rate cannot be drawn: curves.csv is damaged."),
        ("curves.csv", "step,train_loss\n1,2\n", "curves.csv holds no learning_rate."),
        ("validation_curve.csv", None, "cannot be drawn: validation_curve.csv is not in the run folder."),
        ("validation_curve.csv", "step,score\n1,-inf\n", "validation_curve.csv holds no score."),
        ("validation.json", None, "The last validation cannot be shown: validation.json is not in the run folder."),
        ("validation.json", "{", "The last validation cannot be shown: validation.json is damaged."),
        ("validation.json", '{"structures": [{}]}', "The last validation cannot be shown: validation.json is damaged."),
        ("validation.csv", "case_id\na\n", "The single cases cannot be shown: validation.csv is missing or damaged."),
        ("plan.yaml", None, "No plan can be shown: plan.yaml is not in the run folder."),
        ("plan.yaml", "\0", "No plan can be shown: plan.yaml is damaged."),
        ("plan.yaml", "a: [", "No plan can be shown: plan.yaml is damaged."),
        ("run.json", None, "run.json is not in the run folder"),
        ("run.json", "{", "run.json is damaged"),
        ("run.json", '{"fold": 0}', "run.json is damaged"),
    ],
)
def test_missing_and_damaged_parts_are_said(
    run: Path, tmp_path: Path, name: str, damage: str | None, said: str
) -> None:
    (run / name).unlink()
    if damage is not None:
        (run / name).write_text(damage)
    result = medseg.report(run, out=tmp_path / "out")
    assert said in page_of(result)
    assert any(said in sentence for sentence in result.missing)


def test_missing_pictures_and_evaluations_are_said(run: Path, tmp_path: Path) -> None:
    shutil.rmtree(run / "overlays")
    page = page_of(medseg.report(run, out=tmp_path / "out"))
    assert "There are no pictures of the cases." in page
    assert "No evaluation was given" in page
    assert "the dataset was not given to this report" in page


def test_failures_are_listed_without_folders(place: Path, tmp_path: Path) -> None:
    evaluation = Path(shutil.copytree(place / "every", tmp_path / "every"))
    content = json.loads((evaluation / "summary.json").read_text())
    reason = f"case c9: image {tmp_path}/my scans/c9.nii.gz must be readable, got: an end"
    content["failures"] = [{"case_id": "c9", "stage": "evaluate", "reason": reason}]
    (evaluation / "summary.json").write_text(json.dumps(content))
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", evaluations=[evaluation]))
    assert "case c9: image c9.nii.gz must be readable, got: an end" in page
    assert str(tmp_path) not in page
    assert "1 case of the evaluation every failed and were not measured." in page


def test_dataset_adds_patients_sites_licence_and_source(place: Path, tmp_path: Path) -> None:
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", dataset=place))
    for name, value in {
        "Training patients": "2 patients",
        "Validation patients": "2 patients",
        "Licence": "CC-BY-4.0",
        "Source": "a made-up hospital",
        "Licence of the data": "CC-BY-4.0",
    }.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)]
    assert ["site", "north", "1", "2", "0"] in rows
    assert ["site", "south", "1", "0", "0"] in rows
    assert "The manifest does not state: scanner, modality, sex." in page


def test_other_dataset_is_refused_before_anything_is_written(place: Path, tmp_path: Path) -> None:
    content = json.loads((place / "dataset.json").read_text())
    (tmp_path / "dataset.json").write_text(json.dumps(content | {"licence": "another"}))
    with pytest.raises(ManifestError, match="must be the one that the run was trained on"):
        medseg.report(place / "run", out=tmp_path / "out", dataset=tmp_path)
    assert not (tmp_path / "out").exists()


def test_run_on_every_case_has_no_validation_and_says_so(tmp_path: Path) -> None:
    write_patients(tmp_path)
    train(tmp_path, "run", fold="all")
    page = page_of(medseg.report(tmp_path / "run", out=tmp_path / "out"))
    assert "There are no validation cases: the run was trained on every case." in page
    assert "There is no curve of validations, because every case was trained on." in page
    assert "the run has no validation of its own" in page


def test_classification_has_the_same_form(tmp_path: Path) -> None:
    trained(tmp_path)
    evaluate_classifier(tmp_path, "evaluation")()
    result = medseg.report(
        tmp_path / "run", out=tmp_path / "out", evaluations=[tmp_path / "evaluation"], dataset=tmp_path
    )
    page, cells = page_of(result), cells_of(page_of(result))
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    parts = ["Data", "Plan", "Training", "Curves", "Last validation", "Evaluation: evaluation", "Limits", "Model card"]
    assert titles == parts
    for folder in (tmp_path / "run" / "validation", tmp_path / "evaluation"):
        content = json.loads((folder / "classification.json").read_text())
        auroc = content["slice"]["classes"][0]["measures"]["auroc"]["value"]
        assert ("none" if auroc is None else f"{auroc:.4f}") in cells
    assert "that the model was trained on; their numbers flatter it" in result.warnings[0]
    assert "axial slices" in page
    assert page.count("data:image/png") == len(list((tmp_path / "evaluation" / "pictures").glob("*.png")))
    assert str(tmp_path) not in page


def test_pdf_is_written_from_the_page(place: Path, tmp_path: Path) -> None:
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[place / "fold"], with_pdf=True)
    assert sorted(path.name for path in result.folder.iterdir()) == ["model_card.md", "report.html", "report.pdf"]
    assert (result.folder / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_pdf_that_cannot_be_made_is_refused_before_any_work(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(DeliveryError, match="weasyprint must be installed"):
        medseg.report(place / "run", out=tmp_path / "out", with_pdf=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "fact", "settings"),
    [
        (CheckpointError, "model.json must be readable", {"run": "fold"}),
        (EvaluationError, "found no summary.json", {"evaluations": ["run"]}),
        (ConfigError, "must be given once", {"evaluations": ["fold", "fold"]}),
        (ConfigError, "must be new or empty", {"out": "fold"}),
    ],
)
def test_what_cannot_be_reported_is_refused(
    place: Path, tmp_path: Path, error: type[Exception], fact: str, settings: dict[str, Any]
) -> None:
    folders = {"run": place / settings.get("run", "run"), "out": tmp_path / "out"}
    folders |= {"out": place / settings["out"]} if "out" in settings else {}
    with pytest.raises(error, match=fact):
        medseg.report(
            folders["run"], out=folders["out"], evaluations=[place / n for n in settings.get("evaluations", ())]
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("file /home/Jane Doe/scan.nii.gz: must", "file scan.nii.gz: must"),
        (r"file C:\data\scan.nii.gz: must", "file scan.nii.gz: must"),
        ("'/tmp/a'", "'a'"),
        ("set by settings quick.yaml (benchmarks/README.md), 3 mm / 5 mm", None),
        ("see https://doi.org/10.2196/26151", None),
        ("a relative/path.nii stays", None),
        ("file:///home/jane/x and sqlite:////home/jane/db", "x and db"),
        ("jane@host:/export/home/x", "x"),
        ("/home/jane,doe/x /home/o'brien/x", "x x"),
        ("'/home/o'brien/My Old Scans/x' and 'a b/c'", "'x' and 'a b/c'"),
        (r"'C:\Users\Jane van Doe\x'", "'x'"),
        ("in /data/study 3/scan.nii and 4 mm / 5 mm", "in scan.nii and 4 mm / 5 mm"),
        ("got /tmp/a.nii and the label/mask differ", "got a.nii and the label/mask differ"),
        ("model models:/liver/1", None),
    ],
)
def test_paths_are_cut_to_their_files(text: str, plain: str | None) -> None:
    assert without_folders(text) == (text if plain is None else plain)


def test_case_of_many_structures_is_shown_by_its_worst() -> None:
    rows = [CaseMetrics(case_id, f"rib_{n}", {"dice": 0.9 - 0.01 * n}, 9, 9) for case_id in "ab" for n in range(9)]
    rows.append(CaseMetrics("a", "rib_9", {"dice": float("nan")}, 0, 0))
    (table,) = worst_cases(rows)
    assert isinstance(table, Table)
    assert list(table.columns) == ["Case", "Mean Dice", "Worst structure"]
    assert [tuple(row.cells) for row in table.rows] == [(case_id, "0.8600", "rib_8 0.8200") for case_id in "ab"]


def test_of_many_divisions_those_with_the_widest_gap_are_shown_and_the_others_counted() -> None:
    facts = {"metric": "dice", "by": "site", "low": None, "high": None, "cases": 3, "patients": 3}
    entries = [
        {**facts, "structure": f"rib_{n}", "group": group, "mean": 0.9 - low * 0.01 * n, "is_worst": bool(low)}
        for n in range(12)
        for low, group in enumerate(("north", "south"))
    ]
    (table,) = subgroup_table(entries)
    assert isinstance(table, Table)
    assert {row.cells[0] for row in table.rows} == {f"rib_{n}" for n in range(4, 12)}
    assert "4 more stand in summary.json" in table.note
