"""The balance of a split as a picture: bars of equal height are an even split."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import COLOURS, heading, log_axis, new_figure, save_figure, tidy
from medseg.split import Balance, BalanceRow, Feature
from medseg.split.table import largest_imbalance

MOST_GROUPS = 6  # features per panel, the most unbalanced first

_TITLES: dict[Feature, str] = {
    "label": "cases with the label",
    "volume": "volume of the label, median and quartiles",
    "site": "cases by site",
    "scanner": "cases by scanner",
    "modality": "cases by modality",
}
_TEST_COLOUR = COLOURS[1]
_FOLD_COLOURS = (COLOURS[0], *COLOURS[2:], "#1b4d5c")
_MOST_LINEAR = 8.0


def save_balance_picture(balance: Balance, path: Path, *, title: str) -> None:
    """Write a PNG with a panel per kind of feature, a group of bars per feature and a bar per part.

    Args:
        balance: Balance to show.
        path: Target file.
        title: Title above the picture.
    """
    kinds = {kind: list(rows) for kind, rows in groupby(balance.rows, key=lambda row: row.kind)}
    lines = (len(kinds) + 2) // 2
    figure = new_figure(13, 1.4 + 3.3 * lines)
    axes = figure.subplots(lines, 2, squeeze=False).ravel()
    _draw_sizes(axes[0], balance)
    for axis, (kind, rows) in zip(axes[1:], kinds.items(), strict=False):
        _draw_kind(axis, kind, rows, balance.columns)
    for axis in axes[len(kinds) + 1 :]:
        axis.set_axis_off()
    figure.legend(handles=_legend(balance), loc="outside lower center", ncol=12, frameon=False)
    figure.suptitle(heading(title, largest_imbalance(balance)), fontsize=11)
    save_figure(figure, path)


def _draw_sizes(axis: Any, balance: Balance) -> None:
    """Cases of each part, and its patients as a narrower bar in front."""
    names, places = balance.columns[1:], np.arange(len(balance.columns) - 1)
    colours = [colour_of(name) for name in names]
    has_repeats = balance.patients != balance.cases
    bars = axis.bar(places, balance.cases[1:], width=0.8, color=colours, alpha=0.45 if has_repeats else 1.0)
    axis.bar_label(bars, fontsize=8, padding=2)
    if has_repeats:
        bars = axis.bar(places, balance.patients[1:], width=0.5, color=colours)
        axis.bar_label(bars, fontsize=8, padding=2)
    axis.set_xticks(places, names, fontsize=9 if len(names) <= 8 else 7)
    title = "cases (wide bars) and patients (narrow bars)" if has_repeats else "cases, one per patient"
    tidy(axis, title=title, x="", y="", grid="y")


def _draw_kind(axis: Any, kind: Feature, rows: list[BalanceRow], columns: tuple[str, ...]) -> None:
    shown = rows[:MOST_GROUPS]
    width = 0.8 / (len(columns) - 1)
    for place, row in enumerate(shown):
        lefts = place - 0.4 + width * (np.arange(len(columns) - 1) + 0.5)
        if kind == "volume":
            _draw_volumes(axis, row, lefts, columns)
        else:
            heights = [percent or 0.0 for percent in row.percent[1:]]
            axis.bar(lefts, heights, width=width * 0.92, color=[colour_of(name) for name in columns[1:]])
        overall = row.quartiles_ml[0][1] if row.quartiles_ml and row.quartiles_ml[0] else (row.percent or (None,))[0]
        axis.hlines(overall, place - 0.46, place + 0.46, color="black", linewidth=1.4)
    axis.set_xticks(range(len(shown)), [_label(row, len(shown)) for row in shown], fontsize=8)
    axis.set_xlim(-0.6, max(len(shown), 3) - 0.4)
    more = f" (the {len(shown)} most unbalanced of {len(rows)})" if len(rows) > len(shown) else ""
    tidy(axis, title=_TITLES[kind] + more, x="", y="ml" if kind == "volume" else "% of cases", grid="y")
    if kind == "volume":
        _scale_volumes(axis, [value for row in shown for quartiles in row.quartiles_ml for value in quartiles or ()])


def _draw_volumes(axis: Any, row: BalanceRow, lefts: Any, columns: tuple[str, ...]) -> None:
    for left, quartiles, name in zip(lefts, row.quartiles_ml[1:], columns[1:], strict=True):
        if quartiles:
            low, median, high = quartiles
            axis.vlines(left, low, high, color=colour_of(name), linewidth=3, alpha=0.5)
            axis.plot([left], [median], "o", color=colour_of(name), markersize=6)


def _scale_volumes(axis: Any, millilitres: list[float]) -> None:
    """Start the axis at zero, or make it logarithmic if small labels would vanish beside large ones."""
    if max(millilitres) < _MOST_LINEAR * min(millilitres):
        axis.set_ylim(bottom=0)
    else:
        log_axis(axis)


def _label(row: BalanceRow, bars: int) -> str:
    """The name in lines as wide as its group of bars; one too long for three lines is cut in the middle."""
    width = max(10, 66 // max(bars, 3))
    longest = 3 * width - 6
    short = row.name if len(row.name) <= longest else f"{row.name[: longest // 2]}…{row.name[-longest // 2 :]}"
    return "\n".join([*textwrap.wrap(short, width), f"{row.gap:.1f} off"])


def colour_of(name: str) -> str:
    """Colour of a part of the split: a fold or the test set."""
    if name == "test":
        return _TEST_COLOUR
    return _FOLD_COLOURS[int(name.removeprefix("fold ")) % len(_FOLD_COLOURS)]


def _legend(balance: Balance) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    parts = [Patch(color=colour_of(name), label=name) for name in balance.columns[1:]]
    return [*parts, Line2D([], [], color="black", label="all cases")]
