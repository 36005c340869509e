"""The files metrics.csv and summary.json."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.evaluation.segmentation.summary import Summary, as_text
from medseg.records import CaseMetrics, Failure

CONTRACT = {
    "grid": "the scan's own",
    "aggregation": "per case, then mean over cases, then over labels",
    "both_empty": "left out and counted",
    "one_empty": "counts 0",
    "interval": "95 %, bootstrap over patients, 2,000 resamples; of fewer than 20 patients, jackknife over them on log "
    "odds with Student's t",
}


def write_metrics(rows: Sequence[CaseMetrics], path: Path) -> None:
    """Write one line per case and label; a metric that the contract leaves out stays blank."""
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.values))
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["case_id", "label", *metrics, "label_voxels", "mask_voxels"])
    for row in rows:
        values = ["" if row.values[m] != row.values[m] else as_text(m, row.values[m], 6) for m in metrics]
        table.writerow([row.case_id, row.label, *values, row.label_voxels, row.mask_voxels])
    write_text(path, buffer.getvalue())


def write_summary(
    summary: Summary, path: Path, *, failures: Sequence[Failure] = (), notes: dict[str, Any] | None = None
) -> None:
    """Write the summary with its contract and the failed cases."""
    content = {
        "contract": CONTRACT,
        "cases": summary.cases,
        "means_over_labels": summary.means,
        "labels": [asdict(entry) for entry in summary.labels],
        "failures": [asdict(failure) for failure in failures],
        **(notes or {}),
    }
    write_json(path, content)


def case_columns(rows: Sequence[CaseMetrics]) -> dict[str, list[Any]]:
    """Per-case metrics as columns, for a table to view."""
    columns: dict[str, list[Any]] = {"case_id": [row.case_id for row in rows], "label": [row.label for row in rows]}
    for metric in dict.fromkeys(metric for row in rows for metric in row.values):
        columns[metric] = [row.values[metric] for row in rows]
    columns["label_voxels"] = [row.label_voxels for row in rows]
    columns["mask_voxels"] = [row.mask_voxels for row in rows]
    return columns
