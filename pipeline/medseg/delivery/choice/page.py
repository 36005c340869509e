"""index.html, choice.json and tries.csv of a choice."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medseg.atomic import write_json, write_text
from medseg.delivery.comparison.charts import forest
from medseg.delivery.pages import fill_page
from medseg.evaluation.segmentation import PairedDifference, Summary, as_text, signed_text

_METRIC = "dice"
_COLUMNS = (
    "structure", "first", "second", "difference", "low", "high", "p_value", "corrected_p", "cases", "patients",
    "second_better", "first_better",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TriedChoice:
    """A try.

    Attributes:
        name: Name of the try.
        difference: Paired difference to what stays otherwise.
        is_taken: Whether it was taken.
    """

    name: str
    difference: PairedDifference
    is_taken: bool

    def __str__(self) -> str:
        """The try in a line."""
        return f"{self.name}: {self.difference}" + ("; taken" if self.is_taken else "")

    @property
    def verdict(self) -> str:
        """Why it was taken or not, in words."""
        if self.is_taken:
            return "taken"
        if self.difference.verdict == "second":
            return "better, but another is at least as good, or all taken together are not"
        known = {"first": "worse", "equal": "changes nothing", "unknown": "too few patients to tell"}
        return known.get(self.difference.verdict, "may be chance")


@dataclass(frozen=True, slots=True)
class Step:
    """Tries of which all are held against the same.

    Attributes:
        title: Name of the step.
        what: What is compared, in words.
        stays: What stays if no try is taken.
        tries: Tries in their order.
    """

    title: str
    what: str
    stays: str
    tries: tuple[TriedChoice, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Numbers of one configuration, or of two together, out of fold.

    Attributes:
        name: Its name.
        summary: Dice of every structure over cases.
    """

    name: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class ChoicePage:
    """Everything that a choice was made by.

    Attributes:
        dataset: Name and version of the dataset.
        cases: Count of cases.
        patients: Count of patients.
        configurations: Every configuration and every ensemble of two, before postprocessing.
        steps: Steps of the choice in their order.
        chosen: Name of the chosen configuration or ensemble.
        rules: Postprocessing of the chosen model, a sentence for each structure.
        result: Numbers of the chosen model out of fold, its postprocessing included.
        left_out: Cases that could not be measured with every configuration.
        rule: Rule of the choice, in words.
    """

    dataset: str
    cases: int
    patients: int
    configurations: tuple[Scored, ...]
    steps: tuple[Step, ...]
    chosen: str
    rules: tuple[str, ...]
    result: Summary
    left_out: tuple[str, ...]
    rule: str

    def __str__(self) -> str:
        """A line per try, and the result, for a terminal."""
        lines = []
        for step in self.steps:
            lines.append(f"{step.title}, {step.what}:")
            lines += [f"  {one}" for one in step.tries] or ["  nothing to try"]
        rules = "; ".join(self.rules) or "none"
        return "\n".join([*lines, f"chosen: {self.chosen}; postprocessing: {rules}", str(self.result)])


def save_choice_page(page: ChoicePage, folder: Path, *, card: Mapping[str, Any]) -> None:
    """Write `index.html`, `choice.json` and `tries.csv`.

    Args:
        page: The choice.
        folder: Target folder.
        card: Card of the chosen model.

    Raises:
        DeliveryError: If a file cannot be written.
    """
    write_json(folder / "choice.json", {**asdict(page), "model": dict(card)})
    write_text(folder / "tries.csv", _table(page))
    write_text(folder / "index.html", render_choice(page, members=len(card["members"])))


def render_choice(page: ChoicePage, *, members: int) -> str:
    """The page as HTML text, self-contained.

    Args:
        page: The choice.
        members: Count of the networks of the chosen model.
    """
    structures = [entry.label for entry in page.result.labels]
    scored = [*page.configurations, Scored(f"chosen: {page.chosen}", page.result)]
    return fill_page(
        "choice/templates/page.html.jinja",
        page=page,
        members=members,
        structures=structures,
        table=[{"name": one.name, "cells": _means(one.summary)} for one in scored],
        steps=[_step(step) for step in page.steps],
    )


def _means(summary: Summary) -> list[str]:
    """Mean and interval of every structure, and the mean over structures."""
    cells = []
    for entry in summary.labels:
        ends = [as_text(_METRIC, end, 4) for end in (entry.low, entry.high)]
        interval = f" ({ends[0]} to {ends[1]})" if entry.low == entry.low else ""
        cells.append(f"{as_text(_METRIC, entry.mean, 4)}{interval}")
    return [*cells, as_text(_METRIC, summary.means[_METRIC], 4)]


def _step(step: Step) -> dict[str, Any]:
    return {
        "title": step.title,
        "what": step.what,
        "stays": step.stays,
        "is_taken": any(one.is_taken for one in step.tries),
        "forest": forest([one.difference for one in step.tries]) if step.tries else None,
        "tries": [_try(one) for one in step.tries],
    }


def _try(one: TriedChoice) -> dict[str, Any]:
    found = one.difference
    p_value = "" if found.corrected_p != found.corrected_p else f"{found.corrected_p:.3f}"
    ends = [signed_text(_METRIC, end) for end in (found.low, found.high)]
    return {
        "name": one.name,
        "means": f"{as_text(_METRIC, found.first, 4)} → {as_text(_METRIC, found.second, 4)}",
        "difference": signed_text(_METRIC, found.difference),
        "interval": f"{ends[0]} to {ends[1]}" if found.low == found.low else "none",
        "p_value": p_value if p_value != "0.000" else "< 0.001",
        "counts": f"{found.second_better} better, {found.first_better} worse of {found.cases}",
        "verdict": one.verdict,
        "is_taken": one.is_taken,
    }


def _table(page: ChoicePage) -> str:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(
        ["step", "stays", *("try" if name == "structure" else name for name in _COLUMNS), "taken", "verdict"]
    )
    for step in page.steps:
        for one in step.tries:
            values = asdict(one.difference)
            cells = ["" if values[name] != values[name] else values[name] for name in _COLUMNS]
            table.writerow([step.title, step.stays, *cells, one.is_taken, one.verdict])
    return buffer.getvalue()
