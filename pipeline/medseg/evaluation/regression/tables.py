"""The files metrics.csv, dvh.csv, dvh_curves.csv and summary.json of quantities."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from math import nan
from pathlib import Path
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.evaluation.method import METHOD
from medseg.evaluation.regression.contract import QuantityContract
from medseg.evaluation.regression.metric_kinds import point_title
from medseg.evaluation.regression.quantity_row import QuantityMetrics
from medseg.evaluation.regression.summary import QuantitiesSummary
from medseg.quantity import Quantity
from medseg.records import Failure

TASK = "regression"
_DIGITS = 9  # of which single precision has fewer
_METHOD = {
    **METHOD,
    "ssim": "Gaussian windows of 11 voxels a side, standard deviation 1.5; Wang et al. 2004",
    "psnr_range": "the range of the quantity, or that of the case's reference without one",
    "gamma": "predicted dose searched and interpolated linearly in steps of a tenth of the distance; Low et al. 1998",
}


def write_quantity_metrics(rows: Sequence[QuantityMetrics], path: Path) -> None:
    """Write one line per case, quantity and part; a metric that is undefined stays blank."""
    columns = quantity_columns(rows)
    _write(path, list(columns), zip(*columns.values(), strict=True))


def write_dose_points(rows: Sequence[QuantityMetrics], path: Path) -> None:
    """Write the points of all dose–volume histograms: one line per case, quantity, structure and point."""
    head = ["case_id", "quantity", "structure", "point", "unit", "reference", "predicted"]
    lines = [
        [*_key(row), point_title(name, row.unit), _point_unit(name, row.unit), *values]
        for row in rows
        if row.dose is not None
        for name, values in row.dose.points.items()
    ]
    _write(path, head, lines)


def write_dose_curves(rows: Sequence[QuantityMetrics], path: Path) -> None:
    """Write the cumulative dose–volume histograms: volume in percent of the structure that gets a dose or more."""
    head = ["case_id", "quantity", "structure", "dose", "unit", "reference_percent", "predicted_percent"]
    lines = [
        [*_key(row), f"{dose:.6g}", row.unit, f"{reference:.6g}", f"{predicted:.6g}"]
        for row in rows
        if row.dose is not None and row.voxels
        for dose, reference, predicted in zip(row.dose.doses, row.dose.reference, row.dose.predicted, strict=True)
    ]
    _write(path, head, lines)


def write_quantity_summary(
    summary: QuantitiesSummary,
    path: Path,
    *,
    contract: QuantityContract,
    quantities: Mapping[str, Quantity],
    failures: Sequence[Failure] = (),
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the summary with its contract, the contract's digest, the quantities and the failed cases."""
    content = {
        "task": TASK,
        "contract": contract.model_dump(mode="json"),
        "contract_digest": contract.digest,
        "method": _METHOD,
        "cases": summary.cases,
        "quantities": {name: quantity.model_dump(mode="json") for name, quantity in quantities.items()},
        "numbers": [asdict(entry) for entry in summary.entries],
        "failures": [failure.row for failure in failures],
        **(notes or {}),
    }
    write_json(path, content)


def quantity_columns(rows: Sequence[QuantityMetrics]) -> dict[str, list[Any]]:
    """Metrics per case, quantity and part as columns; NaN where one is undefined."""
    columns: dict[str, list[Any]] = {
        "case_id": [row.case_id for row in rows],
        "quantity": [row.quantity for row in rows],
        "scope": [row.scope for row in rows],
        "unit": [row.unit for row in rows],
    }
    for metric in dict.fromkeys(metric for row in rows for metric in row.values):
        columns[metric] = [row.values.get(metric, nan) for row in rows]
    columns["voxels"] = [row.voxels for row in rows]
    columns["unknown_share"] = [row.unknown_share for row in rows]
    return columns


def _key(row: QuantityMetrics) -> list[str]:
    return [row.case_id, row.quantity, row.scope]


def _point_unit(point: str, unit: str) -> str:
    return "%" if point.startswith("v") else unit


def _write(path: Path, head: Sequence[str], lines: Iterable[Iterable[Any]]) -> None:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(head)
    for line in lines:
        table.writerow([_cell(value) for value in line])
    write_text(path, buffer.getvalue())


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return "" if value != value else f"{value:.{_DIGITS}g}"
