"""The validation tables of folds, read back."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path

from medseg.evaluation.regression import QuantityMetrics

_FACTS = ("case_id", "quantity", "scope", "unit", "voxels", "unknown_share")


def read_fold_rows(tables: Iterable[Path]) -> list[QuantityMetrics]:
    """Rows of some `validation.csv`; a fold without one, of which no case was measured, has none.

    Args:
        tables: Paths of the tables.
    """
    rows = []
    for table in tables:
        if table.is_file():
            with table.open(encoding="utf-8", newline="") as stream:
                rows += [_row(line) for line in csv.DictReader(stream)]
    return rows


def _row(line: dict[str, str]) -> QuantityMetrics:
    values = {name: float(text) if text else math.nan for name, text in line.items() if name not in _FACTS}
    return QuantityMetrics(
        case_id=line["case_id"],
        quantity=line["quantity"],
        scope=line["scope"],
        unit=line["unit"],
        values=values,
        voxels=int(line["voxels"]),
        unknown_share=float(line["unknown_share"]),
    )
