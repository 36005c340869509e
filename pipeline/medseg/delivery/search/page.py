"""index.html of a search: its trials, in one file that loads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.atomic import write_text
from medseg.delivery.pages import fill_page
from medseg.delivery.search.charts import curves_chart, history_chart, setting_charts


@dataclass(frozen=True, slots=True)
class TrialRow:
    """A trial of a search.

    Attributes:
        name: Name of its folder.
        state: `running`, `complete`, `pruned` or `failed`.
        score: Mean Dice; of a trial that was pruned the last that it reached; NaN without one.
        cases: Validation cases of its last validation.
        seconds: Seconds of its training; NaN as long as it is not known.
        steps: Steps of its training.
        choice: Its values by the names of the space.
        reason: Why it was pruned or failed.
        curve: Score of each validation on the way, by its number.
    """

    name: str
    state: str
    score: float
    cases: int
    seconds: float
    steps: int
    choice: Mapping[str, Any]
    reason: str
    curve: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What the page shows.

    Attributes:
        dataset: Name of the dataset.
        fold: Validation fold.
        rows: Trials by their number; the first is the plan.
        cases: Number of validation cases over which complete trials are ranked.
        answer: Name of the trial whose plan is taken.
        verdict: Why it is.
        contests: A sentence per finalist against the plan.
        repeats: Name and numbers of each training with another seed.
        used_s: Seconds of the budget that are used.
        budget: Budget as it was asked for.
        asked: Number of trials that was asked for.
        length: Length of each training, as text.
        is_over: Whether nothing is left to train.
    """

    dataset: str
    fold: str
    rows: tuple[TrialRow, ...]
    cases: int
    answer: str
    verdict: str
    contests: tuple[str, ...]
    repeats: tuple[tuple[str, Mapping[str, Any]], ...]
    used_s: float
    budget: str | None
    asked: int | None
    length: str
    is_over: bool


def save_search_page(report: SearchReport, path: Path) -> None:
    """Write the page, without any folder of this machine.

    Raises:
        DeliveryError: If the file cannot be written.
    """
    write_text(path, render_search(report))


def render_search(report: SearchReport) -> str:
    """The page as HTML text, self-contained."""
    names = list(dict.fromkeys(name for row in report.rows for name in row.choice))
    ranked = sorted(report.rows, key=lambda row: (row.state != "complete", -row.score if row.score == row.score else 1))
    return fill_page(
        "search/templates/page.html.jinja",
        report=report,
        names=names,
        titles={name: name.replace("_factor", " ×").replace("_", " ") for name in names},
        rows=[{**_cells(row, names), "is_answer": row.name == report.answer} for row in ranked],
        ended=[row for row in report.rows if row.state in ("pruned", "failed")],
        counts={state: sum(row.state == state for row in report.rows) for state in _STATES},
        repeats=[{"name": name, **_repeat(end)} for name, end in report.repeats],
        used=_duration(report.used_s),
        history=history_chart([(row.name, row.state, row.score) for row in report.rows]),
        curves=curves_chart([(row.name, row.state, row.curve) for row in report.rows]),
        settings=setting_charts([(row.name, row.state, row.score, row.choice) for row in report.rows], names),
    )


_STATES = ("complete", "pruned", "failed", "running")


def _cells(row: TrialRow, names: list[str]) -> dict[str, Any]:
    return {
        "name": row.name,
        "state": row.state,
        "score": f"{row.score:.4f}" if row.score == row.score else "",
        "cases": row.cases or "",
        "time": _duration(row.seconds) if row.seconds == row.seconds else "",
        "steps": f"{row.steps:,}" if row.steps else "",
        "values": [_value(row.choice[name]) if name in row.choice else "as planned" for name in names],
    }


def _repeat(end: Mapping[str, Any]) -> dict[str, str]:
    score, seconds = end.get("score"), end.get("seconds")
    return {
        "score": f"{score:.4f}" if isinstance(score, float) else "",
        "time": _duration(seconds) if isinstance(seconds, float | int) else "",
        "reason": str(end.get("reason", "")),
    }


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
