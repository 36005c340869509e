"""compare.html: evaluations of the same cases side by side, in one file that loads nothing else."""

from __future__ import annotations

import base64
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from medseg.atomic import write_text
from medseg.delivery.comparison.charts import CostChart, bland_altman, cost_chart, forest, scatter
from medseg.delivery.pages import fill_page
from medseg.evaluation.segmentation import (
    EvaluationContract,
    LabelSummary,
    PairedDifference,
    StoredEvaluation,
    Summary,
    as_text,
    kind_of,
    signed_text,
)

_WORST = 12


@dataclass(frozen=True, slots=True)
class ComparedEvaluation:
    """One evaluation of a comparison.

    Attributes:
        name: Name that the page gives it.
        stored: Its tables.
        summary: Means over the cases that all evaluations have.
        against: Differences to the first evaluation; empty for the first.
        cost: Facts such as seconds per case, by caption.
        pictures: Path of the picture of a case by its id, where there is one.
    """

    name: str
    stored: StoredEvaluation
    summary: Summary
    against: tuple[PairedDifference, ...] = ()
    cost: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several evaluations under one contract; the first is what the others are held against.

    Attributes:
        dataset: Name of the dataset.
        metric: Metric that is drawn and by which cases are ranked.
        contract: What was measured, and how.
        evaluations: Evaluations, the first as the baseline.
        common: Ids of the cases that all of them have.
        left_out: Ids of the cases that only some have.
        is_drawn: Whether dataset and masks were given, from which pictures are drawn that the evaluations do not hold.
        picture_notes: Sentences that a reader of the pictures must know.
    """

    dataset: str
    metric: str
    contract: EvaluationContract
    evaluations: tuple[ComparedEvaluation, ...]
    common: tuple[str, ...]
    left_out: tuple[str, ...]
    is_drawn: bool = False
    picture_notes: tuple[str, ...] = ()


def save_comparison_page(comparison: Comparison, path: Path) -> None:
    """Write the page, without any folder of this machine.

    Raises:
        DeliveryError: If the file cannot be written.
    """
    write_text(path, render_comparison(comparison))


def render_comparison(comparison: Comparison) -> str:
    """The page as HTML text, self-contained."""
    metric, worst = comparison.metric, _worst(comparison)
    chart, uncharted = _cost_chart(comparison)
    return fill_page(
        "comparison/templates/page.html.jinja",
        dataset=comparison.dataset,
        metric=kind_of(metric).title,
        unit=kind_of(metric).unit,
        contract=comparison.contract,
        names=[one.name for one in comparison.evaluations],
        counts=(len(comparison.common), comparison.left_out),
        table=_table(comparison),
        details=_details(comparison),
        pairs=[_pair(comparison, other) for other in comparison.evaluations[1:]],
        worst=worst,
        undrawn=any("" in case["pictures"] for case in worst),
        is_drawn=comparison.is_drawn,
        picture_notes=comparison.picture_notes,
        costs=_costs(comparison),
        cost_chart=chart,
        uncharted=uncharted,
    )


def worst_cases(comparison: Comparison) -> list[str]:
    """Ids of the cases that the page shows: those with the worst value in any evaluation, the worst first."""
    values = [_by_case(one, comparison) for one in comparison.evaluations]
    sign = kind_of(comparison.metric).direction or 1
    known = [case_id for case_id in comparison.common if any(case_id in each for each in values)]
    ranked = sorted(known, key=lambda case_id: min(sign * each.get(case_id, sign * 1e9) for each in values))
    return ranked[:_WORST]


def _table(comparison: Comparison) -> list[dict[str, Any]]:
    """A row per structure: the chosen metric of every evaluation, and the differences to the first."""
    means = [_means(one.summary, comparison.metric) for one in comparison.evaluations]
    rows = []
    for structure in means[0]:
        cells = []
        for one, mean in zip(comparison.evaluations, means, strict=True):
            change = next((e for e in one.against if (e.structure, e.metric) == (structure, comparison.metric)), None)
            cells.append({"value": mean.get(structure, ""), "change": _change(change) if change else None})
        rows.append({"structure": structure, "cells": cells})
    return rows


def _means(summary: Summary, metric: str) -> dict[str, str]:
    """Mean and interval of each structure as text."""
    found = {}
    for entry in summary.labels:
        if entry.metric == metric:
            ends = [as_text(metric, end, 4) for end in (entry.low, entry.high)]
            interval = f" ({ends[0]} to {ends[1]})" if entry.low == entry.low else ""
            found[entry.label] = f"{as_text(metric, entry.mean, 4)}{interval}" if entry.cases else "in no case"
    return found


def _change(entry: PairedDifference) -> dict[str, str]:
    chance = "too few patients for a test"
    if entry.corrected_p == entry.corrected_p:
        chance = f"p = {entry.corrected_p:.3f}" if entry.corrected_p >= 0.001 else "p < 0.001"
    ends = [signed_text(entry.metric, end) for end in (entry.low, entry.high)]
    interval = f" ({ends[0]} to {ends[1]})" if entry.low == entry.low else ""
    counts = f"better in {entry.second_better}, worse in {entry.first_better} of {entry.cases}"
    if entry.undefined_in_one:
        counts += f"; {entry.undefined_in_one} with a number in one alone do not enter"
    return {
        "difference": f"{signed_text(entry.metric, entry.difference)}{interval}",
        "chance": chance,
        "counts": counts,
        "verdict": entry.verdict,
    }


def _details(comparison: Comparison) -> list[dict[str, Any]]:
    """Every metric of every structure and evaluation."""
    keys = dict.fromkeys((entry.label, entry.metric) for entry in comparison.evaluations[0].summary.labels)
    found = [{(e.label, e.metric): e for e in one.summary.labels} for one in comparison.evaluations]
    return [
        {
            "structure": label,
            "metric": kind_of(metric).title,
            "unit": kind_of(metric).unit,
            "values": [_mean_text(each.get((label, metric))) for each in found],
        }
        for label, metric in keys
    ]


def _mean_text(entry: LabelSummary | None) -> str:
    """The mean of an entry; empty where there is none."""
    return as_text(entry.metric, entry.mean, 4) if entry is not None and entry.cases else ""


def _pair(comparison: Comparison, other: ComparedEvaluation) -> dict[str, Any]:
    """The drawings of one evaluation against the first."""
    first, metric = comparison.evaluations[0], comparison.metric
    shared = _measured(first, comparison).keys() & _measured(other, comparison).keys()
    before, after = _by_case(first, comparison, shared), _by_case(other, comparison, shared)
    values = [(case_id, before[case_id], after[case_id]) for case_id in before if case_id in after]
    entries = [entry for entry in other.against if entry.metric == metric]
    return {
        "name": other.name,
        "first": first.name,
        "forest": forest(entries) if entries else None,
        "scatter": scatter(values, metric, first=first.name, second=other.name) if values else None,
        "bland_altman": bland_altman(values, metric) if len(values) > 1 else None,
    }


def _measured(one: ComparedEvaluation, comparison: Comparison) -> dict[tuple[str, str], float]:
    """The chosen metric of each common case and structure that has it."""
    common = set(comparison.common)
    values = {(row.case_id, row.label): row.values.get(comparison.metric, float("nan")) for row in one.stored.rows}
    return {key: value for key, value in values.items() if key[0] in common and value == value}


def _by_case(
    one: ComparedEvaluation, comparison: Comparison, among: Collection[tuple[str, str]] | None = None
) -> dict[str, float]:
    """Mean of the chosen metric over the structures of each common case, or over some of them."""
    values: dict[str, list[float]] = {}
    for (case_id, structure), value in _measured(one, comparison).items():
        if among is None or (case_id, structure) in among:
            values.setdefault(case_id, []).append(value)
    return {case_id: fmean(found) for case_id, found in values.items()}


def _worst(comparison: Comparison) -> list[dict[str, Any]]:
    """The worst cases, with all values and the pictures that there are."""
    values = [_by_case(one, comparison) for one in comparison.evaluations]
    return [
        {
            "case_id": case_id,
            "values": [as_text(comparison.metric, each[case_id], 3) if case_id in each else "" for each in values],
            "pictures": [_embedded(one.pictures.get(case_id)) for one in comparison.evaluations],
        }
        for case_id in worst_cases(comparison)
    ]


def _embedded(path: Path | None) -> str:
    """A picture inside the page; empty where there is none."""
    if path is None or not path.is_file():
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def _costs(comparison: Comparison) -> list[tuple[str, list[str]]]:
    """A row per cost that any evaluation knows."""
    captions = dict.fromkeys(caption for one in comparison.evaluations for caption in one.cost)
    return [(caption, [one.cost.get(caption, "") for one in comparison.evaluations]) for caption in captions]


def _cost_chart(comparison: Comparison) -> tuple[CostChart | None, list[str]]:
    """The metric against seconds per case, None unless two evaluations have both; names of those that do not."""
    values = [
        (
            one.name,
            (one.stored.notes.get("cost") or {}).get("seconds_per_case"),
            one.summary.means.get(comparison.metric, float("nan")),
        )
        for one in comparison.evaluations
    ]
    known = [(name, seconds, mean) for name, seconds, mean in values if seconds is not None and mean == mean]
    drawn = {name for name, _, _ in known}
    chart = cost_chart(known, comparison.metric) if len(known) > 1 else None
    return chart, [name for name, _, _ in values if name not in drawn]
