"""Evaluations held against each other: what is refused, what is said, and what the page shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ConfigError, EvaluationError
from medseg.evaluation.segmentation import EvaluationContract, stored, summarise, write_metrics, write_summary
from medseg.records import CaseMetrics
from medseg.runs.segmentation import cost_text
from medseg.runs.segmentation.compare import CompareSettings, ComparisonResult, compare_evaluations
from medseg.runs.tracking import Tracking

CONTRACT = EvaluationContract(labels={"liver": 1, "tumour": 2})


def evaluation(
    folder: Path, shift: float, *, cases: int = 12, contract: EvaluationContract = CONTRACT, **notes: Any
) -> Path:
    """A folder as `evaluate` writes it, whose Dice differs from 0.5 to 0.9 and by a shift that varies a little."""
    rng = np.random.default_rng(7)
    rows = []
    for n in range(cases):
        for label, base in (("liver", 0.7), ("tumour", 0.5)):
            dice = float(np.clip(base + 0.015 * n + shift * rng.uniform(0.8, 1.2), 0, 1))
            values = {"dice": dice, "iou": dice / (2 - dice), "hd95_mm": 10 * (1 - dice)}
            rows.append(CaseMetrics(f"case_{n:02d}", label, values, 100 + n, 90))
    write_metrics(rows, folder / "metrics.csv")
    facts = {
        "dataset": {"name": "livers", "digest": "d1"},
        "patients": {row.case_id: row.case_id for row in rows},
        "mlflow_run_id": None,
    }
    write_summary(summarise(rows), folder / "summary.json", contract=contract, notes=facts | notes)
    return folder


def compare(folders: list[Path], out: Path, **more: Any) -> ComparisonResult:
    return compare_evaluations(folders, CompareSettings(out=out, **more))


def compared(place: Path, *shifts: float, **more: Any) -> ComparisonResult:
    folders = [evaluation(place / f"run_{n}", shift) for n, shift in enumerate(shifts)]
    return compare(folders, place / "out", **more)


def test_real_difference_is_told_from_none(tmp_path: Path) -> None:
    result = compared(tmp_path, 0.0, 0.04, 0.0)
    better, same = result.comparison.evaluations[1:]
    assert {entry.verdict for entry in better.against if entry.metric == "dice"} == {"second"}
    assert {entry.verdict for entry in same.against} == {"equal"}
    assert "equal in every case" in str(result)
    assert "better beyond chance" in str(result)
    assert result.warnings == ()
    content = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert content["contract_digest"] == CONTRACT.digest
    liver = next(entry for entry in content["evaluations"][1]["against_first"] if entry["metric"] == "dice")
    assert liver["difference"] == pytest.approx(0.04, abs=0.003)


def test_page_is_one_file_with_every_name_and_number(tmp_path: Path) -> None:
    result = compared(tmp_path, 0.0, 0.04, names=("plain <b>", "longer"))
    text = (result.folder / "compare.html").read_text(encoding="utf-8")
    assert "plain &lt;b&gt;" in text
    assert "<b>" not in text
    assert "http" not in text.replace("http-equiv", "")
    for found in ("liver", "tumour", "case_00", "Bland", CONTRACT.digest, "better in 12"):
        assert found in text
    assert str(tmp_path) not in text


def test_worst_case_stands_first_with_the_pictures_that_there_are(tmp_path: Path) -> None:
    from PIL import Image

    folders = [evaluation(tmp_path / name, 0.0) for name in ("a", "b")]
    (folders[0] / "overlays").mkdir()
    Image.new("RGB", (4, 4)).save(folders[0] / "overlays" / "worst_case_00.png")
    result = compare(folders, tmp_path / "out")
    text = (result.folder / "compare.html").read_text(encoding="utf-8")
    assert text.count("data:image/png") == 1
    assert "Give <code>compare</code> the dataset and the folder of masks of each evaluation" in text
    assert text.count("no picture") == 2 * 12 - 1
    assert text.index("case_00</h3>") < text.index("case_01</h3>")


def test_other_contract_is_refused_with_the_difference(tmp_path: Path) -> None:
    other = EvaluationContract(labels={"liver": 1, "tumour": 2}, both_empty="perfect")
    folders = [evaluation(tmp_path / "a", 0.0), evaluation(tmp_path / "b", 0.0, contract=other)]
    with pytest.raises(EvaluationError, match="both_empty: left out against perfect") as raised:
        compare(folders, tmp_path / "out")
    assert "same contract" in raised.value.remedy
    assert not (tmp_path / "out").exists()


def test_cases_that_only_one_has_are_said(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / "a", 0.0), evaluation(tmp_path / "b", 0.04, cases=8)]
    result = compare(folders, tmp_path / "out")
    assert len(result.comparison.common) == 8
    assert result.comparison.left_out == ("case_08", "case_09", "case_10", "case_11")
    assert any("4 cases are left out" in warning for warning in result.warnings)
    assert {entry.cases for entry in result.comparison.evaluations[0].summary.labels} == {8}


def test_a_difference_that_chance_explains_says_how_many_patients_it_takes(tmp_path: Path) -> None:
    first = evaluation(tmp_path / "a", 0.0)
    rng = np.random.default_rng(1)
    rows = [
        CaseMetrics(f"case_{n:02d}", "liver", {"dice": 0.7 + 0.015 * n + float(rng.normal(0.004, 0.03))}, 100, 90)
        for n in range(12)
    ]
    second = tmp_path / "b"
    write_metrics(rows, second / "metrics.csv")
    notes = {"dataset": {"name": "livers", "digest": "d2"}, "patients": {row.case_id: row.case_id for row in rows}}
    write_summary(
        summarise(rows), second / "summary.json", contract=CONTRACT, notes=notes | {"trained_on": ["case_01"]}
    )
    result = compare([first, second], tmp_path / "out")
    text = " ".join(result.warnings)
    assert "do not tell" in text
    assert "different versions of the dataset" in text
    assert "trained on some of the cases" in text


def test_evaluations_without_common_cases_are_refused(tmp_path: Path) -> None:
    first, second = evaluation(tmp_path / "a", 0.0), evaluation(tmp_path / "b", 0.0)
    table = (second / "metrics.csv").read_text().replace("\ncase_", "\nother_")
    (second / "metrics.csv").write_text(table)
    with pytest.raises(EvaluationError, match="cases in common"):
        compare([first, second], tmp_path / "out")


@pytest.mark.parametrize("name", ["summary.json", "metrics.csv"])
def test_missing_and_damaged_tables_are_told_apart(tmp_path: Path, name: str) -> None:
    first, second = evaluation(tmp_path / "a", 0.0), evaluation(tmp_path / "b", 0.0)
    (second / name).write_text("{")
    with pytest.raises(EvaluationError, match="evaluate the masks again"):
        compare([first, second], tmp_path / "out")
    (second / name).unlink()
    with pytest.raises(EvaluationError, match=f"found no {name}"):
        compare([first, second], tmp_path / "out")


def test_names_must_differ(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / name / "evaluation", 0.0) for name in ("a", "b")]
    result = compare(folders, tmp_path / "out")
    assert [one.name for one in result.comparison.evaluations] == ["a/evaluation", "b/evaluation"]
    with pytest.raises(ConfigError, match="names must differ"):
        compare(folders, tmp_path / "again", names=("x", "x"))
    with pytest.raises(ConfigError, match="one for each of 2"):
        compare(folders, tmp_path / "again", names=("x",))
    with pytest.raises(ConfigError, match="at least two"):
        compare(folders[:1], tmp_path / "again")
    with pytest.raises(ConfigError, match="metric must be one of dice, iou, hd95_mm"):
        compare(folders, tmp_path / "again", metric="dcie")


def test_made_up_structure_where_the_other_draws_nothing_is_told_and_shown(tmp_path: Path) -> None:
    """In a case without a tumour one model rightly draws none and the other draws one."""
    nan = float("nan")
    for name, dice in (("right", nan), ("wrong", 0.0)):
        rows = [CaseMetrics(f"case_{n}", label, {"dice": 0.8}, 9, 9) for n in range(8) for label in ("liver", "tumour")]
        rows[1] = CaseMetrics("case_0", "tumour", {"dice": dice}, 0, 0 if dice != dice else 5)
        write_metrics(rows, tmp_path / name / "metrics.csv")
        notes = {"dataset": {"name": "livers", "digest": "d"}, "patients": {}}
        write_summary(summarise(rows), tmp_path / name / "summary.json", contract=CONTRACT, notes=notes)
    result = compare([tmp_path / "right", tmp_path / "wrong"], tmp_path / "out")
    assert any("wrong, tumour: 1 cases do not enter" in warning for warning in result.warnings)
    text = (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    assert "1 with a number in one alone do not enter" in text
    assert text.index("<h3>case_0</h3>") < text.index("<h3>case_1</h3>")  # the worst, by the mean of both structures
    assert "wrong: Dice 0.400" in text
    assert "case_0: 0.800 (right), 0.800 (wrong)" in text  # the drawing holds alike against alike


COST = {
    "seconds_per_case": 2.0,
    "peak_memory_bytes": 3 * 2**30,
    "parameters": 5_600_000,
    "multiply_adds_per_window": 31_200_000_000,
    "training_minutes": 10.0,
}


def test_costs_stand_in_readable_units_and_are_drawn_against_the_metric(tmp_path: Path) -> None:
    folders = [
        evaluation(tmp_path / "slow <i>", 0.04, cost=COST | {"seconds_per_case": 6.0, "training_minutes": None}),
        evaluation(tmp_path / "fast", 0.0, cost=COST),
    ]
    text = (compare(folders, tmp_path / "out").folder / "compare.html").read_text(encoding="utf-8")
    rows = dict(re.findall(r"<tr><td>([^<]+)</td>((?:<td class=\"number\">[^<]*</td>)+)</tr>", text))
    cells = {caption: re.findall(r">([^<]*)</td>", row) for caption, row in rows.items()}
    assert cells["Seconds per case"] == ["6.0", "2.0"]
    assert cells["Peak memory"] == ["3.0 GiB", "3.0 GiB"]
    assert cells["Parameters"] == ["5.6 million", "5.6 million"]
    assert cells["Multiply-adds per window"] == ["31.2 billion", "31.2 billion"]
    assert cells["Training"] == ["", "10.0 min"]
    drawing = text[text.index("against seconds per case</figcaption>") :]
    titles = re.findall(r"<title>([^<]+)</title>", drawing[: drawing.index("</svg>")])
    assert [title.split(":")[0] for title in titles] == ["slow &lt;i&gt;", "fast"]
    assert [title.split(" at ")[1] for title in titles] == ["6.0 s per case", "2.0 s per case"]


def test_no_drawing_of_the_cost_of_a_single_evaluation(tmp_path: Path) -> None:
    folders = [evaluation(tmp_path / "a", 0.04, cost=COST), evaluation(tmp_path / "b", 0.0, cost=None)]
    text = (compare(folders, tmp_path / "out").folder / "compare.html").read_text(encoding="utf-8")
    assert "5.6 million" in text
    assert "against seconds per case" not in text


def test_evaluations_without_seconds_per_case_are_named_below_the_drawing_of_the_others(tmp_path: Path) -> None:
    unknown = COST | {"seconds_per_case": None}
    costs = {"a": COST, "b <i>": None, "c": COST | {"seconds_per_case": 3.0}, "d": unknown}
    folders = [evaluation(tmp_path / name, 0.01 * n, cost=cost) for n, (name, cost) in enumerate(costs.items())]
    text = (compare(folders, tmp_path / "out").folder / "compare.html").read_text(encoding="utf-8")
    drawing = text[text.index("against seconds per case</figcaption>") :]
    titles = re.findall(r"<title>([^<]+)</title>", drawing[: drawing.index("</svg>")])
    assert [title.split(":")[0] for title in titles] == ["c", "a"]
    assert "because seconds per case or the mean are not known: b &lt;i&gt;, d." in drawing


@pytest.mark.parametrize(
    ("notes", "fact"),
    [
        ({"dataset": None}, "dataset in summary.json must be a mapping, got None"),
        ({"dataset": "livers"}, "dataset in summary.json must be a mapping, got 'livers'"),
        ({"model": [1]}, r"model in summary.json must be a mapping, got \[1\]"),
        ({"cost": 3}, "cost in summary.json must be a mapping, got 3"),
        ({"cost": COST | {"seconds_per_case": "2 s"}}, "cost.seconds_per_case .* number of at least 0, got '2 s'"),
        ({"cost": COST | {"seconds_per_case": float("nan")}}, "cost.seconds_per_case .* of at least 0, got nan"),
        ({"cost": COST | {"training_minutes": float("inf")}}, "cost.training_minutes .* of at least 0, got inf"),
        ({"cost": COST | {"parameters": 10**400}}, "cost.parameters .* of at least 0, got 1000"),
        ({"cost": COST | {"parameters": True}}, "cost.parameters .* of at least 0, got True"),
        ({"cost": COST | {"peak_memory_bytes": -1}}, "cost.peak_memory_bytes .* of at least 0, got -1"),
    ],
)
def test_damaged_field_of_a_summary_is_refused_like_a_damaged_table(
    tmp_path: Path, notes: dict[str, Any], fact: str
) -> None:
    folders = [evaluation(tmp_path / name, 0.0, cost=COST) for name in ("a", "b")]
    path = folders[1] / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | notes))
    with pytest.raises(EvaluationError, match=f"evaluation b: its tables must be as evaluate writes them.*{fact}"):
        compare(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_every_cost_that_is_shown_is_checked() -> None:
    assert set(cost_text._ROWS) == set(stored.COSTS)


def test_evaluations_without_a_run_to_show_the_page_are_one_warning(tmp_path: Path) -> None:
    """Two of an earlier version, which did not note a run, one without tracking, and one of another store."""
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folders = [evaluation(tmp_path / name, 0.0) for name in ("old", "older", "untracked", "elsewhere")]
    for folder in folders:
        path = folder / "summary.json"
        content = json.loads(path.read_text())
        if folder.name.startswith("old"):
            del content["mlflow_run_id"]
        if folder.name == "elsewhere":
            content["mlflow_run_id"] = 32 * "a"
        path.write_text(json.dumps(content))
    (said,) = compare(folders, tmp_path / "out", tracking=Tracking(uri=store)).warnings
    assert said.startswith("compare.html is not shown in MLflow by the runs of old, older, elsewhere: ")
    assert said.count("did not note the run of the evaluation") == 1
    assert 32 * "a" in said
    assert compare(folders, tmp_path / "silent", tracking=Tracking(is_on=False)).warnings == ()
