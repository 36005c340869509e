"""The balance of a split as a picture: level bars are an even split."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from medseg.atomic import atomic_path
from medseg.split.balance import Balance, BalanceRow
from medseg.split.config import Feature
from medseg.split.table import largest_imbalance

MOST_GROUPS = 6  # features per panel, the most unbalanced first

_TITLES: dict[Feature, str] = {
    "label": "cases with the label",
    "volume": "volume of the label, median and quartiles",
    "site": "cases by site",
    "scanner": "cases by scanner",
    "modality": "cases by modality",
}
_FOLD_COLOURS = (
    "#4c78a8", "#72b7b2", "#54a24b", "#c9b037", "#b279a2", "#8a6d5b", "#79aee0", "#2f6f6b", "#a3cf8f", "#8287a8",
)  # fmt: skip
_TEST_COLOUR = "#e45756"
_MOST_LINEAR = 8.0


def save_picture(balance: Balance, path: Path, *, title: str) -> None:
    """Write a PNG with a panel per kind of feature, a group of bars per feature and a bar per part.

    Args:
        balance: What to show.
        path: Target.
        title: Above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    kinds = {kind: list(rows) for kind, rows in groupby(balance.rows, key=lambda row: row.kind)}
    lines = (len(kinds) + 2) // 2
    figure = Figure(figsize=(13, 1.2 + 3.1 * lines), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(lines, 2, squeeze=False).ravel()
    _draw_sizes(axes[0], balance)
    for axis, (kind, rows) in zip(axes[1:], kinds.items(), strict=False):
        _draw_kind(axis, kind, rows, balance.columns)
    for axis in axes[len(kinds) + 1 :]:
        axis.set_axis_off()
    figure.legend(handles=_legend(balance), loc="outside lower center", ncol=12, frameon=False)
    figure.suptitle(f"{title}\n{largest_imbalance(balance)}", fontsize=11)
    with atomic_path(path, suffix=".png") as temporary:
        figure.savefig(temporary)


def _draw_sizes(axis: Any, balance: Balance) -> None:
    """Cases of each part, and its patients as a narrower bar in front."""
    names, places = balance.columns[1:], np.arange(len(balance.columns) - 1)
    colours = [_colour(name) for name in names]
    has_repeats = balance.patients != balance.cases
    bars = axis.bar(places, balance.cases[1:], width=0.8, color=colours, alpha=0.45 if has_repeats else 1.0)
    axis.bar_label(bars, fontsize=8, padding=2)
    if has_repeats:
        bars = axis.bar(places, balance.patients[1:], width=0.5, color=colours)
        axis.bar_label(bars, fontsize=8, padding=2)
    axis.set_xticks(places, names)
    _dress(axis, "cases (wide bars) and patients (narrow bars)" if has_repeats else "cases, one per patient", "")


def _draw_kind(axis: Any, kind: Feature, rows: list[BalanceRow], columns: tuple[str, ...]) -> None:
    shown = rows[:MOST_GROUPS]
    width = 0.8 / (len(columns) - 1)
    for place, row in enumerate(shown):
        lefts = place - 0.4 + width * (np.arange(len(columns) - 1) + 0.5)
        if kind == "volume":
            _draw_volumes(axis, row, lefts, columns)
        else:
            heights = [percent or 0.0 for percent in row.percent[1:]]
            axis.bar(lefts, heights, width=width * 0.92, color=[_colour(name) for name in columns[1:]])
        overall = row.quartiles_ml[0][1] if row.quartiles_ml and row.quartiles_ml[0] else (row.percent or (None,))[0]
        axis.hlines(overall, place - 0.46, place + 0.46, color="black", linewidth=1.4)
    axis.set_xticks(range(len(shown)), [_label(row, len(shown)) for row in shown], fontsize=8)
    axis.set_xlim(-0.6, max(len(shown), 3) - 0.4)
    more = f" (the {len(shown)} most unbalanced of {len(rows)})" if len(rows) > len(shown) else ""
    _dress(axis, _TITLES[kind] + more, "ml" if kind == "volume" else "% of cases")
    if kind == "volume":
        _scale_volumes(axis, [value for row in shown for quartiles in row.quartiles_ml for value in quartiles or ()])


def _draw_volumes(axis: Any, row: BalanceRow, lefts: Any, columns: tuple[str, ...]) -> None:
    for left, quartiles, name in zip(lefts, row.quartiles_ml[1:], columns[1:], strict=True):
        if quartiles:
            low, median, high = quartiles
            axis.vlines(left, low, high, color=_colour(name), linewidth=3, alpha=0.5)
            axis.plot([left], [median], "o", color=_colour(name), markersize=6)


def _scale_volumes(axis: Any, millilitres: list[float]) -> None:
    """From zero, or logarithmic where small labels would vanish beside large ones."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    if max(millilitres) < _MOST_LINEAR * min(millilitres):
        axis.set_ylim(bottom=0)
        return
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_formatter(NullFormatter())


def _dress(axis: Any, title: str, unit: str) -> None:
    axis.set_title(title, fontsize=10, loc="left")
    axis.set_ylabel(unit)
    axis.spines[["top", "right"]].set_visible(False)


def _label(row: BalanceRow, bars: int) -> str:
    """The name in lines as wide as its group of bars; what does not fit in three is cut in the middle."""
    width = max(10, 66 // max(bars, 3))
    longest = 3 * width - 6
    short = row.name if len(row.name) <= longest else f"{row.name[: longest // 2]}…{row.name[-longest // 2 :]}"
    return "\n".join([*textwrap.wrap(short, width), f"{row.gap:.1f} off"])


def _colour(name: str) -> str:
    if name == "test":
        return _TEST_COLOUR
    return _FOLD_COLOURS[int(name.removeprefix("fold ")) % len(_FOLD_COLOURS)]


def _legend(balance: Balance) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    parts = [Patch(color=_colour(name), label=name) for name in balance.columns[1:]]
    return [*parts, Line2D([], [], color="black", label="all cases")]
