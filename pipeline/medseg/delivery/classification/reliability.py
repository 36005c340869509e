"""Reliability diagrams: stated against observed frequency, before and after calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import COLOURS, GREY, heading, new_figure, save_figure, shortened, tidy
from medseg.evaluation.classification import Level, ReliabilityBins, reliability_bins, stack_scores
from medseg.records import SliceScores

_SHOWN = 8
_COLUMNS = 4


def save_reliability(
    scores: Sequence[SliceScores],
    path: Path,
    *,
    classes: Sequence[str],
    uncalibrated: Sequence[SliceScores] | None = None,
    level: Level = "slice",
    title: str = "",
) -> None:
    """Write a PNG with a reliability diagram per class and a histogram of the probabilities below it.

    Of more than eight classes the eight with most positives are shown.

    Args:
        scores: Scores with calibrated probabilities.
        path: Target file.
        classes: Names of the columns.
        uncalibrated: Scores of the same cases before the temperature; None leaves that line out.
        level: Rows of slices or of studies.
        title: Title above the picture.
    """
    tables = {"calibrated": stack_scores(scores, classes=classes, level=level)}
    if uncalibrated is not None:
        tables["uncalibrated"] = stack_scores(uncalibrated, classes=classes, level=level)
    positives = (tables["calibrated"].truth == 1).sum(axis=0)
    shown = sorted(np.argsort(-positives, kind="stable")[:_SHOWN].tolist())
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    figure = new_figure(max(3.6 * columns, 5), 4.9 * rows + 0.4)
    ratios = [3, 1] * rows
    axes = figure.subplots(2 * rows, columns, squeeze=False, sharex=True, height_ratios=ratios)
    for place in range(rows * columns):
        pair = (axes[2 * (place // columns), place % columns], axes[2 * (place // columns) + 1, place % columns])
        if place >= len(shown):
            [axis.set_axis_off() for axis in pair]
            continue
        index = shown[place]
        bins = {name: reliability_bins(t.probabilities[:, index], t.truth[:, index]) for name, t in tables.items()}
        _draw_class(pair, bins, classes[index])
    more = f" ({len(shown)} of {len(classes)} classes, those with most positives)" if len(shown) < len(classes) else ""
    figure.suptitle(heading(title, f"Reliability, per {level}{more}"), fontsize=11)
    save_figure(figure, path)


def _draw_class(axes: tuple[Any, Any], bins: dict[str, ReliabilityBins], name: str) -> None:
    diagram, histogram = axes
    diagram.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="dotted")
    for (key, one), colour, marker in zip(bins.items(), COLOURS, "os", strict=False):
        error = "no truth" if np.isnan(one.error) else f"ECE {one.error:.3f}"
        there = one.counts > 0
        diagram.plot(
            one.stated[there], one.observed[there], marker=marker, color=colour, markersize=5, label=f"{key}: {error}"
        )
        histogram.stairs(one.counts, one.edges, color=colour, fill=key == "calibrated", alpha=0.8, linewidth=1.4)
    diagram.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.06 + 0.1 * len(bins)), yticks=np.linspace(0, 1, 6))
    tidy(diagram, title=shortened(name), x="", y="observed share")
    tidy(histogram, x="stated probability", y="rows")
    diagram.legend(loc="upper left", frameon=False, fontsize=8)
    if any(one.counts.any() for one in bins.values()):
        histogram.set_yscale("log")
