"""Effect of depth with and without residual connections: error, loss and gradients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import STYLES, legend_beside, log_axis, new_figure, save_figure, tidy
from medseg.delivery.classification.compared import ComparedNetwork, GradientFlow, LossCurve, family_colours
from medseg.records import Array

_SMOOTHING = 0.02  # share of the curve that a moving mean spans


def save_depth_chart(
    networks: Sequence[ComparedNetwork], path: Path, *, error_name: str = "top-1 error", title: str = ""
) -> None:
    """Write a PNG of training (solid) and validation error (dashed) against depth, a colour per family.

    Args:
        networks: Networks of any families; a family of a single depth is a lone mark.
        path: Target file.
        error_name: Name of the errors for the axis.
        title: Title above the picture.

    Source: He et al. 2016, https://arxiv.org/abs/1512.03385, figures 1 and 6.
    """
    figure = new_figure(9, 5)
    axis = figure.subplots()
    for family, colour in family_colours(network.family for network in networks).items():
        members = sorted((one for one in networks if one.family == family), key=lambda one: one.depth)
        depths = [one.depth for one in members]
        train, validation = ([100 * value for value in values] for values in zip(*map(_errors, members), strict=True))
        axis.plot(depths, train, "o-", color=colour, linewidth=1.8, label=f"{family}, training")
        axis.plot(
            depths,
            validation,
            "o--",
            color=colour,
            linewidth=1.4,
            markerfacecolor="white",
            label=f"{family}, validation",
        )
    axis.set_ylim(bottom=0)
    axis.set_xticks(sorted({network.depth for network in networks}))
    tidy(axis, title=title, x="depth, layers with weights", y=f"{error_name}, %")
    legend_beside(axis)
    save_figure(figure, path)


def save_loss_curves(curves: Sequence[LossCurve], path: Path, *, title: str = "") -> None:
    """Write a PNG of losses over steps: each a pale line with its moving mean on top.

    The axis is logarithmic where the moving means span more than a factor of twenty.

    Args:
        curves: Curves, with a colour per family and dashes per curve of one family.
        path: Target file.
        title: Title above the picture.
    """
    figure = new_figure(9.5, 5)
    axis = figure.subplots()
    spans: list[Array] = []
    for curve, style in zip(curves, _family_styles(curves), strict=True):
        smooth = moving_mean(np.asarray(curve.losses, float))
        spans.append(smooth[np.isfinite(smooth)])
        axis.plot(curve.steps, curve.losses, color=style["color"], linewidth=0.6, alpha=0.25)
        axis.plot(curve.steps, smooth, linewidth=1.8, label=curve.name, **style)
    values = np.concatenate([*spans, np.empty(0)])
    if len(values) and 0 < values.min() < values.max() / 20:
        log_axis(axis)
    tidy(axis, title=title, x="step", y="training loss")
    legend_beside(axis)
    save_figure(figure, path)


def save_gradient_flow(flows: Sequence[GradientFlow], path: Path, *, title: str = "") -> None:
    """Write a PNG of gradient norms per layer from input to output, on a logarithmic axis.

    A layer whose gradient is exactly zero is a cross at the bottom; networks of different depth are stretched to one
    width.

    Args:
        flows: Networks, with a colour per family and dashes per network of one family.
        path: Target file.
        title: Title above the picture.

    Source: Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html, figure 7.
    """
    figure = new_figure(9.5, 5)
    axis = figure.subplots()
    for flow, style in zip(flows, _family_styles(flows), strict=True):
        norms = np.asarray(flow.norms, float)
        places = np.linspace(0, 100, len(norms)) if len(norms) > 1 else np.array([50.0])
        is_dead = norms == 0
        axis.plot(places, np.where(is_dead, np.nan, norms), marker=".", linewidth=1.5, label=flow.name, **style)
        if is_dead.any():
            axis.plot(
                places[is_dead], np.full(is_dead.sum(), 0.02), "x", color=style["color"], clip_on=False,
                transform=axis.get_xaxis_transform(), label=f"{flow.name}: zero",
            )  # fmt: skip
    axis.set_yscale("log")
    tidy(axis, title=title, x="layer, from the input (0 %) to the output (100 %)", y="L2 norm of the weights' gradient")
    legend_beside(axis)
    save_figure(figure, path)


def moving_mean(values: Array) -> Array:
    """Mean over a fiftieth of the curve round each step, over fewer values at the ends and without NaN.

    Args:
        values: Values, shape `(N,)`.
    """
    half = int(len(values) * _SMOOTHING / 2)
    is_there = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(is_there, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(is_there)])
    ends = np.minimum(np.arange(len(values)) + half + 1, len(values))
    starts = np.maximum(np.arange(len(values)) - half, 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((sums[ends] - sums[starts]) / (counts[ends] - counts[starts]))


def _errors(network: ComparedNetwork) -> tuple[float, float]:
    return network.train_error, network.error


def _family_styles(members: Sequence[Any]) -> list[dict[str, str]]:
    """A colour per family, and other dashes for each further member of it."""
    colours = family_colours(member.family for member in members)
    seen: dict[str, int] = {}
    styles = []
    for member in members:
        number = seen[member.family] = seen.get(member.family, -1) + 1
        styles.append({"color": colours[member.family], "linestyle": STYLES[number % len(STYLES)]})
    return styles
