"""A chart of one case's dose–volume histograms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.delivery.charts import COLOURS, GREY, legend_beside, new_figure, save_figure, shortened, tidy
from medseg.evaluation.regression import QuantityMetrics
from medseg.quantity import Quantity

_MOST = len(COLOURS)


def save_dvh_chart(rows: Sequence[QuantityMetrics], path: Path, *, quantity: Quantity, title: str) -> None:
    """Write a PNG with the cumulative histograms of reference (solid) and prediction (dashed) of every structure.

    Args:
        rows: Metrics of the structures of one case; those without a histogram or a voxel are left out, and so are those
            beyond the tenth, which the title says.
        path: Target file.
        quantity: Unit and prescription of the dose; the prescription is a vertical line.
        title: Title above the chart.
    """
    drawn = [row for row in rows if row.dose is not None and row.voxels]
    figure = new_figure(8.5, 4.8)
    axis = figure.subplots()
    for row, colour in zip(drawn[:_MOST], COLOURS, strict=False):
        _draw(axis, row, colour)
    if quantity.prescription is not None:
        axis.axvline(quantity.prescription, color=GREY, linewidth=1, linestyle="dotted")
        text = f"prescription {quantity.prescription:g} {quantity.unit}"
        axis.text(
            quantity.prescription, 103, text, ha="center", va="bottom", fontsize=8, color=GREY, clip_on=False
        )  # fmt: skip
    more = f", {_MOST} of {len(drawn)} structures" if len(drawn) > _MOST else ""
    tidy(axis, x=f"dose, {quantity.unit}", y="volume that gets it or more, %")
    axis.set_title(f"{title}{more}\nsolid: reference, dashed: predicted", fontsize=11, pad=18)
    axis.set_ylim(0, 102)
    axis.set_xlim(left=0)
    legend_beside(axis)
    save_figure(figure, path)


def _draw(axis: Any, row: QuantityMetrics, colour: str) -> None:
    if row.dose is None:
        return
    axis.plot(row.dose.doses, row.dose.reference, color=colour, linewidth=1.6, label=shortened(row.scope))
    axis.plot(row.dose.doses, row.dose.predicted, color=colour, linewidth=1.6, linestyle="dashed")
