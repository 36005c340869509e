"""Error against cost, a ball per network, as Canziani et al. draw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import GREY, new_figure, save_figure, shortened, tidy
from medseg.delivery.classification.compared import ComparedNetwork, family_colours
from medseg.delivery.classification.label_places import LabelledBall, place_labels

_LARGEST_RADIUS = 36.0  # in points, of the network with most parameters
_SMALLEST_RADIUS = 2.5


def save_ball_chart(
    networks: Sequence[ComparedNetwork], path: Path, *, error_name: str = "top-1 error", title: str = ""
) -> None:
    """Write a PNG of error against multiply-adds, the area of each ball in proportion to its parameters.

    Args:
        networks: Networks to draw, at least one.
        path: Target file.
        error_name: Name of the error for the axis.
        title: Title above the picture.

    Source: Canziani et al. 2017, https://arxiv.org/abs/1605.07678, figure 2.
    """
    figure = new_figure(10.5, 6.6)
    axis, side = figure.subplots(1, 2, width_ratios=[4.2, 1])
    radii = _radii([network.parameters for network in networks])
    _draw_balls(axis, networks, [network.multiply_adds for network in networks], radii)
    tidy(axis, title=title, x="multiply-adds of one forward pass", y=f"{error_name} on validation, %")
    _finish(figure, axis, networks, [network.multiply_adds for network in networks], radii)
    _draw_sizes(side, networks)
    _add_families(side, networks)
    save_figure(figure, path)


def save_parameter_chart(
    networks: Sequence[ComparedNetwork], path: Path, *, error_name: str = "top-1 error", title: str = ""
) -> None:
    """Write a PNG of error against parameters, a dot per network; otherwise as `save_ball_chart`."""
    figure = new_figure(10.5, 6.2)
    axis, side = figure.subplots(1, 2, width_ratios=[4.2, 1])
    side.set_axis_off()
    radii = np.full(len(networks), 5.0)
    _draw_balls(axis, networks, [network.parameters for network in networks], radii)
    tidy(axis, title=title, x="parameters", y=f"{error_name} on validation, %")
    _finish(figure, axis, networks, [network.parameters for network in networks], radii)
    _add_families(side, networks)
    save_figure(figure, path)


def _radii(parameters: Sequence[int]) -> np.ndarray[Any, Any]:
    """Radius of each ball in points, its area in proportion to the parameters."""
    largest = max(parameters, default=1)
    return np.maximum(np.sqrt(np.array(parameters, float) / largest) * _LARGEST_RADIUS, _SMALLEST_RADIUS)


def _draw_balls(axis: Any, networks: Sequence[ComparedNetwork], costs: Sequence[int], radii: Any) -> None:
    colours = family_colours(network.family for network in networks)
    for network, cost, radius in zip(networks, costs, radii, strict=True):
        x, y, colour = cost, 100 * network.error, colours[network.family]
        axis.scatter(x, y, s=(2 * radius) ** 2, color=colour, alpha=0.45, linewidth=0, clip_on=False)
        axis.scatter(x, y, s=9, color="#333333", zorder=3)
        if np.isfinite(network.low) and np.isfinite(network.high):
            axis.plot([x, x], [100 * network.low, 100 * network.high], color=colour, linewidth=1.2, zorder=2)
    axis.set_xscale("log")


def _finish(figure: Any, axis: Any, networks: Sequence[ComparedNetwork], costs: Sequence[int], radii: Any) -> None:
    """Leave room for the balls, write the axis in thousands and millions, and place the names."""
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    low, high = min(costs), max(costs)
    axis.set_xlim(low / 2.2, high * 2.2)
    axis.margins(y=0.16)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0, 3.0)))
    axis.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axis.xaxis.set_minor_formatter(NullFormatter())
    balls = [
        LabelledBall(
            shortened(network.name, 20), cost, 100 * network.error, radius, 100 * network.low, 100 * network.high
        )
        for network, cost, radius in zip(networks, costs, radii, strict=True)
    ]
    place_labels(figure, axis, balls)


def _draw_sizes(side: Any, networks: Sequence[ComparedNetwork]) -> None:
    """Three balls of round numbers of parameters, in the lower part of the side."""
    largest = max(network.parameters for network in networks)
    side.set(xlim=(0, 1), ylim=(0, 1))
    side.set_axis_off()
    side.text(0.0, 0.47, "parameters", fontsize=9, fontweight="bold")
    for height, share in ((0.36, 1.0), (0.2, 0.3), (0.09, 0.06)):
        shown = _round_below(largest * share)
        radius = np.sqrt(shown / largest) * _LARGEST_RADIUS
        side.scatter(0.27, height, s=(2 * radius) ** 2, color=GREY, alpha=0.45, linewidth=0, clip_on=False)
        side.text(0.62, height, _short_count(shown), va="center", fontsize=9)


def _round_below(value: float) -> float:
    """The largest of 1, 2, 5 × a power of ten that is not above the value."""
    power = 10 ** np.floor(np.log10(max(value, 1)))
    return float(power * max(step for step in (1, 2, 5) if step * power <= max(value, 1)))


def _short_count(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _add_families(side: Any, networks: Sequence[ComparedNetwork]) -> None:
    from matplotlib.lines import Line2D

    colours = family_colours(network.family for network in networks)
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="none", markersize=8, alpha=0.7, label=shortened(name, 18))
        for name, colour in colours.items()
    ]
    if any(np.isfinite(network.low) for network in networks):
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, label="95 % interval"))
    side.legend(handles=handles, loc="upper left", frameon=False, fontsize=9, borderaxespad=0, handletextpad=0.4)
