from __future__ import annotations

import csv
import json
from math import inf, isnan, nan
from pathlib import Path

import pytest
from medseg.errors import ConfigError
from medseg.evaluation.regression import (
    QuantityContract,
    QuantityMetrics,
    load_quantity_contract,
    point_title,
    quantity_kind,
    representative_volumes,
    scoped_quantity_metrics,
    summarise_quantities,
    unknown_note,
    unknown_text,
    volume_quantity_metrics,
    write_quantity_metrics,
    write_quantity_summary,
)
from medseg.evaluation.resampling import grouped_mean_interval
from medseg.quantity import Quantity


def row(case_id: str, mae: float, *, scope: str = "all", unknown: float = 0.0, **more: float) -> QuantityMetrics:
    values = {"mae": mae, **more}
    return QuantityMetrics(case_id, "dose", scope, "Gy", values, voxels=0 if isnan(mae) else 10, unknown_share=unknown)


def test_mean_spread_and_interval_are_over_cases_and_patients() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 10.0, 2.0]
    rows = [row(f"c{n}", value) for n, value in enumerate(values)]
    patients = {f"c{n}": f"p{min(n, 4)}" for n in range(6)}
    (entry,) = summarise_quantities(rows, patients=patients).entries
    assert (entry.mean, entry.cases, entry.patients) == (pytest.approx(22 / 6), 6, 5)
    assert entry.sd == pytest.approx(3.2659863)
    expected = grouped_mean_interval(values, [patients[f"c{n}"] for n in range(6)], is_share=False)
    assert (entry.low, entry.high) == (max(expected[0], 0), expected[1])


def test_undefined_and_infinite_numbers_are_left_out_and_counted() -> None:
    rows = [row("a", 1.0, psnr_db=30.0), row("b", nan, psnr_db=nan), row("c", 0.0, psnr_db=inf)]
    mae, psnr = summarise_quantities(rows).entries
    assert (mae.mean, mae.cases, mae.left_out) == (0.5, 2, 1)
    assert (psnr.mean, psnr.cases, psnr.left_out) == (30, 1, 2)


def test_text_names_quantity_structure_unit_and_count() -> None:
    rows = [row("a", 1.25), row("a", 2.5, scope="cord"), row("a", nan, scope="lung")]
    lines = str(summarise_quantities(rows)).splitlines()
    assert lines == [
        "        dose MAE              1.25 Gy (too few patients for an interval: 1), 1 cases",
        "dose in cord MAE              2.5 Gy (too few patients for an interval: 1), 1 cases",
        "dose in lung in no case",
    ]


def test_names_in_mlflow() -> None:
    summary = summarise_quantities([row("a", 1.25), row("a", 2.5, scope="cord")])
    assert scoped_quantity_metrics(summary, "val") == {"val/mae/dose": 1.25, "val/mae/dose/cord": 2.5}
    assert volume_quantity_metrics(summary) == {"volume_mae/dose": 1.25, "volume_mae/dose/cord": 2.5}


def test_representative_cases_are_each_named_once() -> None:
    rows = [row(name, mae) for name, mae in {"a": 1.0, "b": 3.0, "c": 2.0, "d": nan}.items()]
    chosen = {place: one.case_id for place, one in representative_volumes(rows, "dose").items()}
    assert chosen == {"worst": "b", "median": "c", "best": "a"}
    assert [one.case_id for one in representative_volumes(rows[:1], "dose").values()] == ["a"]
    assert representative_volumes(rows, "ct") == {}


def test_unknown_share_is_said() -> None:
    rows = [row("a", 1.0, unknown=0.5), row("b", 1.0), row("a", 1.0, scope="cord", unknown=0.9)]
    assert unknown_note(rows) == {"unknown": {"dose": {"mean_share": 0.25, "share_by_case": {"a": 0.5}}}}
    assert unknown_text(rows) == (
        "25.0% of the voxels of dose, in 1 case(s), are not known (NaN); all numbers leave them out",
    )
    assert unknown_note(rows[1:2]) == {}


def test_table_holds_every_row(tmp_path: Path) -> None:
    rows = [row("a", 0.1 + 0.2, psnr_db=inf), row("a", nan, scope="lung")]
    write_quantity_metrics(rows, tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["case_id"], line["scope"], line["unit"], line["mae"], line["psnr_db"]) for line in lines] == [
        ("a", "all", "Gy", "0.3", "inf"),
        ("a", "lung", "Gy", "", ""),
    ]


def test_summary_file_holds_contract_quantities_and_numbers(tmp_path: Path) -> None:
    contract, quantities = QuantityContract(), {"dose": Quantity(unit="Gy", prescription=60.0)}
    summary = summarise_quantities([row("a", 1.0)])
    write_quantity_summary(summary, tmp_path / "summary.json", contract=contract, quantities=quantities)
    content = json.loads((tmp_path / "summary.json").read_text())
    assert content["task"] == "regression"
    assert QuantityContract.model_validate(content["contract"]).digest == content["contract_digest"]
    assert content["quantities"] == {"dose": {"unit": "Gy", "prescription": 60.0, "range": None}}
    assert content["numbers"][0]["mean"] == 1.0


def test_contract_is_read_from_yaml_and_its_digest_is_of_its_content(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text("gamma_distance_mm: 2.0\nvolume_at_doses: [20.0]\n")
    contract = load_quantity_contract(path)
    assert contract == QuantityContract(gamma_distance_mm=2.0, volume_at_doses=(20.0,))
    assert contract.digest != QuantityContract().digest
    path.write_text("gamma_distance: 2.0\n")
    with pytest.raises(ConfigError, match="gamma_distance"):
        load_quantity_contract(path)


@pytest.mark.parametrize(
    ("point", "title"), [("d95", "D95"), ("dmean", "Dmean"), ("v20", "V20 Gy"), ("v95_percent", "V95 %")]
)
def test_points_are_named_as_people_write_them(point: str, title: str) -> None:
    assert point_title(point, "Gy") == title


def test_errors_of_volumes_are_in_percent_and_those_of_doses_in_the_quantity_s_unit() -> None:
    assert quantity_kind("v20_error").unit == "% of the volume"
    assert quantity_kind("d95_error").unit == "own"
