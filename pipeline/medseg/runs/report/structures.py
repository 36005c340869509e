"""Tables of metrics per structure, and of parts of the cohort, as an evaluation's summary holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medseg.delivery.report import Block, Row, Table, Text, Value
from medseg.evaluation.segmentation import as_text, kind_of
from medseg.runs.report.plain import count
from medseg.runs.report.results import number

_MOST_DIVISIONS = 8
_ROUNDING = 1e-12
_NO_INTERVAL = "A mean without an interval is of fewer than five patients, too few for one."


def structure_tables(content: Mapping[str, Any], title: str = "Structures") -> tuple[Table, Table]:
    """Headline metrics of every structure with intervals, and every metric with its counts.

    Args:
        content: What a summary holds: `structures` and `means`.
        title: Title of the first table.
    """
    entries = content["structures"]
    metrics = list(dict.fromkeys(entry["metric"] for entry in entries))
    shown = [name for name in metrics if kind_of(name).is_headline]
    found = {(entry["label"], entry["metric"]): entry for entry in entries}
    labels = dict.fromkeys(entry["label"] for entry in entries)
    rows = [
        Row((label, *(_value(found.get((label, metric))) for metric in shown), _cases(found.get((label, "dice")))))
        for label in labels
    ]
    if len(labels) > 1:
        means = [as_text(name, number(content["means"][name]), 4) for name in shown]
        rows.append(Row(("mean over structures", *means, "")))
    columns = ("Structure", *(_title(name) for name in shown), "Cases")
    is_short = any(entry["cases"] and entry["low"] is None for entry in entries)
    note = "Means over cases, with 95 % intervals over patients." + (f" {_NO_INTERVAL}" if is_short else "")
    return Table(title, columns, rows, note=note), _every_metric(entries)


def _every_metric(entries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        Row(
            (
                entry["label"],
                _title(entry["metric"]),
                _value(entry),
                str(entry["cases"]),
                str(entry["left_out"]),
                str(entry["both_empty"]),
                str(entry["one_empty"]),
            )
        )
        for entry in entries
    ]
    columns = ("Structure", "Metric", "Mean", "Cases", "Left out", "Both empty", "One empty")
    return Table(f"All {len(rows)} means, with the cases that they leave out", columns, rows, words=2, is_folded=True)


def _title(metric: str) -> str:
    kind = kind_of(metric)
    return f"{kind.title} in {kind.unit}" if kind.unit else kind.title


def _value(entry: Mapping[str, Any] | None) -> str | Value:
    """Mean and interval of an entry."""
    if entry is None:
        return ""
    if not entry["cases"]:
        return "in no case"
    metric, low, high = entry["metric"], number(entry["low"]), number(entry["high"])
    interval = f"{as_text(metric, low, 4)} to {as_text(metric, high, 4)}" if low == low else ""
    return Value(as_text(metric, number(entry["mean"]), 4), interval)


def _cases(entry: Mapping[str, Any] | None) -> str | Value:
    if entry is None:
        return ""
    left_out = f", {entry['left_out']} left out" if entry["left_out"] else ""
    return Value(str(entry["cases"]), f"{count(entry['patients'], 'patient')}{left_out}")


def subgroup_table(entries: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """Divisions of the cohort, those with the widest gap first where there are many."""
    divisions: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for entry in entries:
        divisions.setdefault((entry["structure"], entry["by"]), []).append(entry)
    if not divisions:
        text = (
            "No subgroups: the manifest states no site, scanner, modality, sex or age that differs, and few "
            "cases have a size."
        )
        yield Text(text, "missing")
        return
    ordered = sorted(divisions.values(), key=_gap, reverse=True)[:_MOST_DIVISIONS]
    shown = [division for division in divisions.values() if any(division is one for one in ordered)]
    rows = [
        Row(
            (one["structure"], one["by"], one["group"], _value(one), str(one["cases"]), str(one["patients"])),
            mark="worst" if one["is_worst"] and _gap(division) > _ROUNDING else "",
        )
        for division in shown
        for one in division
    ]
    left = len(divisions) - len(shown)
    title = f"{_title(entries[0]['metric'])} in parts of the cohort"
    note = f"The {len(shown)} divisions with the widest gap; {left} more stand in summary.json." if left else ""
    yield Table(title, ("Structure", "By", "Group", "Mean", "Cases", "Patients"), rows, words=3, note=note)


def _gap(division: Sequence[Mapping[str, Any]]) -> float:
    means = [mean for one in division if (mean := number(one["mean"])) == mean]
    return max(means) - min(means) if means else 0.0
