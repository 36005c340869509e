"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import GREY, heading, new_figure, save_figure, shortened
from medseg.evaluation.classification import LevelSummary, TwoByTwo
from medseg.records import Array

_SHOWN = 8


def save_confusion(
    confusion: Sequence[Sequence[int]], path: Path, *, classes: Sequence[str], title: str = "Confusion matrix"
) -> None:
    """Write a PNG with counts and shares of each true class; the shares are also shades.

    Up to 20 classes are readable; beyond, only shades are drawn.

    Args:
        confusion: Counts by true class (outer) and most probable class (inner).
        path: Target file.
        classes: Names of the classes in that order.
        title: Title above the picture.
    """
    size = 2.6 + max(3.0, 0.62 * min(len(classes), 30))
    figure = new_figure(size + 1, size)
    axis = figure.subplots()
    image = _draw_matrix(axis, np.array(confusion), [shortened(name, 18) for name in classes])
    axis.set_title(title, fontsize=11)
    axis.set_xlabel("most probable class")
    axis.set_ylabel("true class")
    figure.colorbar(image, ax=axis, shrink=0.8, label="share of the true class (row), %")
    save_figure(figure, path)


def save_outcomes(level: LevelSummary, path: Path, *, specificity: float, title: str = "") -> None:
    """Write a PNG with the 2×2 counts of each class of a multi-label summary at 0.5 and at the stated specificity.

    Of more than eight classes the eight with most positives are shown.

    Args:
        level: Slices or studies of a multi-label summary.
        path: Target file.
        specificity: Specificity that the summary states.
        title: Title above the picture.
    """
    chosen = sorted(sorted(level.classes, key=lambda entry: -entry.positives)[:_SHOWN], key=level.classes.index)
    figure = new_figure(max(2.9 * len(chosen), 5.0), 6.2)
    axes = figure.subplots(2, len(chosen), squeeze=False)
    for column, entry in zip(axes.T, chosen, strict=True):
        _draw_outcome(column[0], entry.at_half, f"{shortened(entry.name, 20)}\nat 0.5")
        where = "" if entry.at_specificity is None else f"\nat {entry.at_specificity.threshold:.3g}"
        _draw_outcome(column[1], entry.at_specificity, f"specificity ≥ {specificity:g}{where}", missing=entry.note)
    figure.suptitle(heading(title, f"Right and wrong calls, per {level.level}"), fontsize=11)
    save_figure(figure, path)


def _draw_outcome(axis: Any, outcome: TwoByTwo | None, title: str, *, missing: str = "") -> None:
    axis.set_title(title, fontsize=10)
    if outcome is None:
        axis.text(0.5, 0.5, missing or "no threshold", ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    counts = [
        [outcome.true_negatives, outcome.false_positives],
        [outcome.false_negatives, outcome.true_positives],
    ]
    _draw_matrix(axis, np.array(counts), ["absent", "present"])
    axis.set_xlabel("called")
    axis.set_ylabel("truth")


def _draw_matrix(axis: Any, counts: Array, names: Sequence[str]) -> Any:
    """Shade each row by its shares and write counts over shares."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), 0) * 100
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    is_slanted = len(names) * max(map(len, names)) > 20
    axis.set_xticks(range(len(names)), names, rotation=45 if is_slanted else 0, ha="right" if is_slanted else "center")
    axis.set_yticks(range(len(names)), names)
    axis.tick_params(length=0, labelsize=9)
    if len(names) <= 20:
        for (row, column), count in np.ndenumerate(counts):
            colour = "white" if shares[row, column] > 55 else "black" if count else GREY
            text = f"{count}\n{shares[row, column]:.0f} %" if count else "0"
            axis.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)
    return image
