"""A run as a report: what its folders hold is on the page, what they lack is said, and nothing of the machine."""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
from html import unescape
from pathlib import Path
from typing import Any

import medseg
import pytest
from medseg.delivery.report import Table
from medseg.errors import CheckpointError, ConfigError, DeliveryError, EvaluationError, ManifestError
from medseg.evaluation.segmentation import as_text
from medseg.planning import load_plan
from medseg.records import CaseMetrics
from medseg.runs.report import ReportResult
from medseg.runs.report.cases import worst_cases
from medseg.runs.report.plain import setting_text, without_folders
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
    assert f"mean Dice {content['means']['dice']:.4f} over 1 structures in 4 cases of boxes 1" in card


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


def test_evaluation_of_another_model_is_told_from_the_run_s(place: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(place / "fold", tmp_path / "fold"))
    content = json.loads((other / "summary.json").read_text())
    content["model"]["plan_digest"] = "0" * 64
    (other / "summary.json").write_text(json.dumps(content))
    result = medseg.report(place / "run", out=tmp_path / "out", evaluations=[other])
    assert "The masks were drawn by another model than this run's" in result.warnings[0]
    content["model"] = None
    (other / "summary.json").write_text(json.dumps(content))
    result = medseg.report(place / "run", out=tmp_path / "again", evaluations=[other])
    assert "does not say which model" in result.warnings[0]


def test_worst_cases_come_with_the_pictures_of_the_evaluation(place: Path, tmp_path: Path) -> None:
    own = page_of(medseg.report(place / "run", out=tmp_path / "own"))
    assert own.count("data:image/png") == len(list((place / "run" / "overlays").glob("*.png"))) > 0
    given = page_of(medseg.report(place / "run", out=tmp_path / "given", evaluations=[place / "every"]))
    assert given.count("data:image/png") == len(list((place / "every" / "overlays").glob("*.png"))) > 2
    assert given.index("Worst: ") < given.index("Worst 2: ") < given.index("Best: ")


def test_worst_subgroup_is_marked(place: Path, tmp_path: Path) -> None:
    page = page_of(medseg.report(place / "run", out=tmp_path / "out", evaluations=[place / "every"]))
    content = json.loads((place / "every" / "summary.json").read_text())
    (worst,) = [entry["group"] for entry in content["subgroups"] if entry["by"] == "site" and entry["is_worst"]]
    (row,) = re.findall(r'<tr class="marked">(.*?)</tr>', page, re.DOTALL)
    assert f"<td>{worst}</td>" in row
    assert "worst" in row.rsplit("<td", 1)[1]


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
        ("plan.yaml", "a: [", "No plan can be shown: plan.yaml is damaged."),
        ("run.json", None, "run.json is not in the run folder"),
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
    if name != "run.json":
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
    assert titles == ["Data", "Plan", "Curves", "Last validation", "Evaluation: evaluation", "Limits", "Model card"]
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
