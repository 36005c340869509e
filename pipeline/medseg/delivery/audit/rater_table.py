"""The agreement of several raters on the page of an audit."""

from __future__ import annotations

from typing import Any

from medseg.evaluation.segmentation import RaterAgreement, as_text, kind_of

_LOWEST = 5
_METRICS = 5


def rater_table(found: RaterAgreement) -> dict[str, Any]:
    """Rows of all raters together and of each pair, by structure, and the cases with the least agreement.

    Args:
        found: Agreement of the raters.
    """
    metrics = [name for name in found.between.means if kind_of(name).is_headline][:_METRICS]
    return {
        "said": _said(found),
        "columns": [_title(name) for name in metrics],
        "rows": [*_all_rows(found, metrics), *_pair_rows(found, metrics)],
        "lowest": _lowest(found),
    }


def _said(found: RaterAgreement) -> str:
    cases = f"{found.between.cases} {'case' if found.between.cases == 1 else 'cases'} of several raters"
    failed = f"; {len(found.failures)} could not be compared" if found.failures else ""
    return (
        f"{cases}{failed}. The pairs of a case are averaged first, then the cases, with 95 % intervals over patients."
    )


def _title(metric: str) -> str:
    kind = kind_of(metric)
    return f"{kind.title}, {kind.unit}" if kind.unit else kind.title


def _all_rows(found: RaterAgreement, metrics: list[str]) -> list[dict[str, Any]]:
    """A row for each structure, over all pairs of raters."""
    entries = {(entry.label, entry.metric): entry for entry in found.between.labels}
    rows = []
    for structure in dict.fromkeys(label for label, _ in entries):
        cells = []
        for metric in metrics:
            entry = entries[structure, metric]
            low = (
                f" ({as_text(metric, entry.low, 3)} to {as_text(metric, entry.high, 3)})"
                if entry.low == entry.low
                else ""
            )
            cells.append(as_text(metric, entry.mean, 3) + low if entry.cases else "–")
        cases = entries[structure, "dice"].cases
        rows.append({"structure": structure, "who": "all pairs", "cells": cells, "cases": cases})
    return rows


def _pair_rows(found: RaterAgreement, metrics: list[str]) -> list[dict[str, Any]]:
    """A row for each pair of raters and structure, with the Dice alone."""
    return [
        {
            "structure": entry["structure"],
            "who": f"{entry['first']} and {entry['second']}",
            "cells": [
                as_text("dice", entry["dice"], 3) if name == "dice" and entry["cases"] else "" for name in metrics
            ],
            "cases": entry["cases"],
        }
        for entry in found.by_pair
    ]


def _lowest(found: RaterAgreement) -> list[dict[str, str]]:
    """The cases and structures of the pairs with the smallest Dice."""
    known = [pair for pair in found.pairs if pair.row.values["dice"] == pair.row.values["dice"]]
    known.sort(key=lambda pair: pair.row.values["dice"])
    return [
        {
            "case_id": pair.row.case_id,
            "text": f"{pair.row.label}, {pair.first} and {pair.second}: {as_text('dice', pair.row.values['dice'], 3)}",
        }
        for pair in known[:_LOWEST]
    ]
