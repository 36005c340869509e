"""ROC and precision-recall curves of every class in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import (
    GREY,
    heading,
    legend_beside,
    line_style,
    new_figure,
    save_figure,
    shortened,
    tidy,
)
from medseg.evaluation.classification import (
    ClassificationSummary,
    ClassScores,
    Level,
    LevelSummary,
    Measure,
    ScoreTable,
    precision_recall_curve,
    roc_curve,
    stack_scores,
)
from medseg.records import SliceScores

_SHOWN = 20


def save_roc(
    scores: Sequence[SliceScores],
    summary: ClassificationSummary,
    path: Path,
    *,
    level: Level = "slice",
    title: str = "",
) -> None:
    """Write a PNG with a ROC curve per class, its AUROC with interval, and the point at the stated specificity.

    A class without an AUROC stays in the legend with the reason. Of more than 20 classes the 20 with the lowest AUROC
    are shown.

    Args:
        scores: Summarised scores.
        summary: Summary of these scores.
        path: Target file.
        level: Rows of slices or of studies.
        title: Title above the picture.
    """
    table, chosen = stack_scores(scores, classes=summary.classes, level=level), _level(summary, level)
    figure = new_figure(9.5, 6)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="dotted", label="chance")
    axis.axvline(1 - summary.specificity, color=GREY, linewidth=1, label=f"specificity {summary.specificity:g}")
    for number, index in enumerate(_shown(chosen, "auroc")):
        _draw_roc(axis, table, index, chosen.classes[index], line_style(number))
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    tidy(axis, title=_heading(title, "ROC", chosen), x="1 − specificity", y="sensitivity")
    legend_beside(axis, title="AUROC (95 % interval)")
    save_figure(figure, path)


def save_precision_recall(
    scores: Sequence[SliceScores],
    summary: ClassificationSummary,
    path: Path,
    *,
    level: Level = "slice",
    title: str = "",
) -> None:
    """Write a PNG with a precision-recall curve per class, its average precision with interval, and its prevalence.

    The prevalence, a dotted line of the same colour, is the precision of guessing. Otherwise as `save_roc`.
    """
    table, chosen = stack_scores(scores, classes=summary.classes, level=level), _level(summary, level)
    figure = new_figure(9.5, 6)
    axis = figure.subplots()
    for number, index in enumerate(_shown(chosen, "average_precision")):
        _draw_precision_recall(axis, table, index, chosen.classes[index], line_style(number))
    axis.plot([], [], color=GREY, linewidth=1, linestyle="dotted", label="prevalence, of the same colour")
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    tidy(axis, title=_heading(title, "Precision and recall", chosen), x="recall (sensitivity)", y="precision")
    legend_beside(axis, title="average precision (95 % interval)")
    save_figure(figure, path)


def _draw_roc(axis: Any, table: ScoreTable, index: int, entry: ClassScores, style: dict[str, str]) -> None:
    probabilities, truth, _ = table.known(index)
    alarms, hits = roc_curve(probabilities, truth)
    axis.plot(alarms, hits, linewidth=1.8, label=_caption(entry, "auroc"), **_style_of(entry, style))
    if not entry.note:
        alarm = float((probabilities[truth == 0] >= entry.threshold).mean())
        axis.plot(
            alarm, entry.measures["sensitivity"].value, "o", color=style["color"], markeredgecolor="white", markersize=8
        )


def _draw_precision_recall(axis: Any, table: ScoreTable, index: int, entry: ClassScores, style: dict[str, str]) -> None:
    probabilities, truth, _ = table.known(index)
    recall, precision = precision_recall_curve(probabilities, truth)
    label = _caption(entry, "average_precision")
    # From recall 0 at the first precision; each step's precision holds for the recall that it gained.
    recall, precision = np.append(0, recall), np.append(precision[:1] if len(precision) else np.nan, precision)
    axis.step(recall, precision, where="pre", linewidth=1.8, label=label, **_style_of(entry, style))
    if not entry.note:
        axis.axhline(entry.prevalence, color=style["color"], linewidth=1, linestyle="dotted")


def _style_of(entry: ClassScores, style: dict[str, str]) -> dict[str, str]:
    return {"color": "white", "linestyle": "none"} if entry.note else style


def _caption(entry: ClassScores, key: str) -> str:
    return f"{shortened(entry.name)}: {entry.note or with_interval(entry.measures[key])}"


def with_interval(measure: Measure) -> str:
    """`0.962 (0.941–0.978)`, or the value alone where it has no interval."""
    if np.isnan(measure.low):
        return f"{measure.value:.3f}"
    return f"{measure.value:.3f} ({measure.low:.3f}–{measure.high:.3f})"


def _level(summary: ClassificationSummary, level: Level) -> LevelSummary:
    return summary.slice if level == "slice" else summary.study


def _shown(level: LevelSummary, key: str) -> list[int]:
    """Classes to draw, in order: all, or those with the lowest values."""
    values = np.array([entry.measures[key].value for entry in level.classes])
    return sorted(np.argsort(values, kind="stable")[:_SHOWN].tolist())  # NaN sorts last


def _heading(title: str, what: str, level: LevelSummary) -> str:
    rows = {"slice": "slices", "study": "studies"}[level.level]
    left_out = f"the {_SHOWN} weakest of {len(level.classes)} classes" if len(level.classes) > _SHOWN else ""
    return heading(title, f"{what}, {level.rows} {rows}", left_out)
