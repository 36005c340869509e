"""metrics.csv and summary.json."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from medseg.evaluation.segmentation import EvaluationContract, case_columns, summarise, write_metrics, write_summary
from medseg.records import CaseMetrics, Failure

NAN = float("nan")
CONTRACT = EvaluationContract(labels={"liver, left lobe": 1, "tumour": 2})
ROWS = [
    CaseMetrics("a", "liver, left lobe", {"dice": 2 / 3, "iou": 0.5}, 10, 8),
    CaseMetrics("a", "tumour", {"dice": NAN, "iou": NAN}, 0, 0),
    CaseMetrics("b", "liver, left lobe", {"dice": 0.0, "iou": 0.0}, 3, 0),
    CaseMetrics("b", "tumour", {"dice": NAN, "iou": NAN}, 0, 0),
]


def test_metric_that_the_contract_leaves_out_is_blank(tmp_path: Path) -> None:
    write_metrics(ROWS, tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["case_id", "label", "dice", "iou", "label_voxels", "mask_voxels"]
    assert [line["label"] for line in table[:2]] == ["liver, left lobe", "tumour"]
    assert [line["dice"] for line in table] == ["0.666667", "", "0.000000", ""]
    assert (table[1]["label_voxels"], table[0]["mask_voxels"]) == ("0", "8")
    assert "nan" not in (tmp_path / "metrics.csv").read_text(encoding="utf-8").lower()


def test_summary_has_null_where_a_number_is_unknown(tmp_path: Path) -> None:
    write_summary(
        summarise(ROWS), tmp_path / "summary.json", contract=CONTRACT,
        failures=[Failure("c", "evaluate", "case c: no mask")], notes={"model": "m", "best": NAN},
    )  # fmt: skip
    text = (tmp_path / "summary.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    content = json.loads(text, parse_constant=refuse)
    entries = {(entry["label"], entry["metric"]): entry for entry in content["structures"]}
    assert entries["tumour", "dice"]["mean"] is None
    assert entries["tumour", "dice"]["both_empty"] == 2
    assert entries["liver, left lobe", "dice"]["mean"] == pytest.approx(1 / 3)
    assert entries["liver, left lobe", "iou"]["one_empty"] == 1
    assert content["means"]["dice"] == pytest.approx(1 / 3)
    assert content["failures"] == [{"case_id": "c", "stage": "evaluate", "reason": "case c: no mask"}]
    assert (content["model"], content["best"], content["cases"]) == ("m", None, 2)


def test_summary_states_its_contract(tmp_path: Path) -> None:
    write_summary(summarise(ROWS), tmp_path / "summary.json", contract=CONTRACT)
    content = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert EvaluationContract.model_validate(content["contract"]) == CONTRACT
    assert content["contract_digest"] == CONTRACT.digest
    assert content["contract"]["both_empty"] == "left out"


def test_columns_have_one_entry_per_case_and_label() -> None:
    columns = case_columns(ROWS)
    assert list(columns) == ["case_id", "label", "dice", "iou", "label_voxels", "mask_voxels"]
    assert columns["case_id"] == ["a", "a", "b", "b"]
    assert columns["mask_voxels"] == [8, 0, 0, 0]
    assert columns["iou"][0] == 0.5
