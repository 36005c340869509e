"""The files metrics.csv and summary.json."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.evaluation.method import METHOD
from medseg.evaluation.segmentation.contract import EvaluationContract
from medseg.evaluation.segmentation.metric_kinds import as_text
from medseg.evaluation.segmentation.summary import Summary
from medseg.records import CaseMetrics, Failure


def write_metrics(rows: Sequence[CaseMetrics], path: Path) -> None:
    """Write one line per case and structure; a metric that is undefined or left out stays blank."""
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.values))
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["case_id", "label", *metrics, "label_voxels", "mask_voxels"])
    for row in rows:
        known = [(m, row.values.get(m, math.nan)) for m in metrics]
        values = ["" if value != value else as_text(m, value, 6) for m, value in known]
        table.writerow([row.case_id, row.label, *values, row.label_voxels, row.mask_voxels])
    write_text(path, buffer.getvalue())


def write_summary(
    summary: Summary,
    path: Path,
    *,
    contract: EvaluationContract,
    failures: Sequence[Failure] = (),
    notes: dict[str, Any] | None = None,
) -> None:
    """Write the summary with its contract, the contract's digest and the failed cases."""
    content = {
        "contract": contract.model_dump(mode="json"),
        "contract_digest": contract.digest,
        "method": METHOD,
        "cases": summary.cases,
        "means": summary.means,
        "structures": [asdict(entry) for entry in summary.labels],
        "failures": [failure.row for failure in failures],
        **(notes or {}),
    }
    write_json(path, content)


def case_columns(rows: Sequence[CaseMetrics]) -> dict[str, list[Any]]:
    """Per-case metrics as columns, for a table to view."""
    columns: dict[str, list[Any]] = {"case_id": [row.case_id for row in rows], "label": [row.label for row in rows]}
    for metric in dict.fromkeys(metric for row in rows for metric in row.values):
        columns[metric] = [row.values.get(metric, math.nan) for row in rows]
    columns["label_voxels"] = [row.label_voxels for row in rows]
    columns["mask_voxels"] = [row.mask_voxels for row in rows]
    return columns
