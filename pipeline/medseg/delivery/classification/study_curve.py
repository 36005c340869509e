"""Probability along the slices of a study, with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import COLOURS, GREY, new_figure, save_figure, shortened, tidy
from medseg.plane import ENDS, Direction
from medseg.records import Array, SliceScores

_LANE = 0.1


def save_study_curves(
    studies: Mapping[str, SliceScores],
    path: Path,
    *,
    classes: Sequence[str],
    direction: Direction,
    thresholds: Mapping[str, float] | None = None,
    title: str = "",
) -> None:
    """Write a PNG with a panel per study: each class's probability over position, and its true slices below.

    A coloured lane under the curves marks the slices that show the class, a grey one slices of unknown truth. Without
    any truth the lanes are grey throughout.

    Args:
        studies: Scores by the caption of their panel, such as `worst: lung_014, error 0.31`.
        path: Target file.
        classes: Names of the columns; ten colours differ.
        direction: Patient axis of the positions.
        thresholds: Threshold of each class, drawn as a dashed line; equal ones are one grey line.
        title: Title above the picture.
    """
    figure = new_figure(10.5, 0.9 + (2.3 + 0.1 * len(classes)) * max(len(studies), 1))
    axes = figure.subplots(max(len(studies), 1), 1, squeeze=False)[:, 0]
    for axis, (caption, case) in zip(axes, studies.items(), strict=False):
        order = np.argsort(case.positions_mm, kind="stable")
        _draw_study(axis, case, order, thresholds or {}, classes)
        tidy(axis, title=caption, x="", y="probability")
        axis.set(ylim=(-0.06 - _LANE * len(classes), 1.04), yticks=np.linspace(0, 1, 5))
    axes[-1].set_xlabel(f"position along {direction} ({' to '.join(ENDS[direction])}), mm")
    figure.suptitle(title, fontsize=11)
    figure.legend(
        handles=_legend(classes, thresholds or {}),
        loc="outside lower center",
        ncol=min(len(classes) + 3, 6),
        frameon=False,
        fontsize=9,
    )
    save_figure(figure, path)


def _draw_study(
    axis: Any, case: SliceScores, order: Array, thresholds: Mapping[str, float], classes: Sequence[str]
) -> None:
    positions = np.asarray(case.positions_mm, float)[order]
    is_shared = len(set(thresholds.values())) == 1
    for index, name in enumerate(classes):
        colour = COLOURS[index % len(COLOURS)]
        axis.plot(positions, case.probabilities[order, index], color=colour, linewidth=1.6, marker=".", markersize=4)
        if name in thresholds and np.isfinite(thresholds[name]):
            axis.axhline(thresholds[name], color=GREY if is_shared else colour, linewidth=1, linestyle="dashed")
        truth = np.full(len(order), -1) if case.truth is None else case.truth[order, index]
        _draw_lane(axis, slice_edges(positions), truth, bottom=-0.05 - _LANE * (index + 1), colour=colour)


def _draw_lane(axis: Any, edges: Array, truth: Array, *, bottom: float, colour: str) -> None:
    height = _LANE * 0.75
    for value, shade, alpha in ((1, colour, 0.75), (-1, "#c8c8c8", 0.6)):
        spans = [(edges[n], edges[n + 1] - edges[n]) for n in np.flatnonzero(truth == value)]
        axis.broken_barh(spans, (bottom, height), facecolor=shade, alpha=alpha, linewidth=0)
    axis.broken_barh(
        [(edges[0], edges[-1] - edges[0])], (bottom, height), facecolor="none", edgecolor=colour, linewidth=0.6
    )


def slice_edges(positions: Array) -> Array:
    """Positions at which each slice begins and the last one ends: half way between neighbours.

    Args:
        positions: Rising positions in millimetres, shape `(N,)`.

    Returns:
        Edges, shape `(N + 1,)`; a single slice counts as 1 mm thick.
    """
    if len(positions) < 2:
        centre = float(positions[0]) if len(positions) else 0.0
        return np.array([centre - 0.5, centre + 0.5])
    middles = (positions[1:] + positions[:-1]) / 2
    return np.concatenate([[2 * positions[0] - middles[0]], middles, [2 * positions[-1] - middles[-1]]])


def _legend(classes: Sequence[str], thresholds: Mapping[str, float]) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Line2D([], [], color=COLOURS[n % len(COLOURS)], linewidth=1.6, label=shortened(name))
        for n, name in enumerate(classes)
    ]
    handles.append(Patch(facecolor=GREY, alpha=0.9, label="lane filled: truly there"))
    handles.append(Patch(facecolor="#dddddd", label="lane pale grey: unknown"))
    if thresholds:
        handles.append(Line2D([], [], color=GREY, linewidth=1, linestyle="dashed", label="threshold"))
    return handles
