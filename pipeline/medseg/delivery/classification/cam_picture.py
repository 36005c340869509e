"""Slices with the Grad-CAM of hits and misses of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.delivery.charts import heading, new_figure, save_figure, shortened
from medseg.delivery.pictures import stretched
from medseg.records import Array

_HIT, _MISS = "#00785a", "#b8420a"


@dataclass(frozen=True, slots=True, eq=False)
class CamSlice:
    """One slice and its heat.

    Attributes:
        image: Intensities of any range, shape `(rows, columns)`.
        heat: Grad-CAM of the class on the same pixels, not negative; all zero or NaN shows no heat.
        case_id: Id of the case.
        slice: Index along the case's axis.
        class_name: Class of the probability and the heat.
        probability: Probability in [0, 1].
        truth: Whether the class is on the slice.
        is_hit: Whether the classifier is right.
        aspect: Height over width of a pixel.
    """

    image: Array
    heat: Array
    case_id: str
    slice: int
    class_name: str
    probability: float
    truth: bool
    is_hit: bool
    aspect: float = 1.0


def save_cam_picture(slices: Sequence[CamSlice], path: Path, *, title: str = "") -> None:
    """Write a PNG with each slice beside its overlay: hits in the left half, misses in the right.

    Args:
        slices: Slices in the order of the picture.
        path: Target file.
        title: Title above the picture.

    Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391.
    """
    halves = [[one for one in slices if one.is_hit], [one for one in slices if not one.is_hit]]
    rows = max(len(halves[0]), len(halves[1]), 1)
    figure = new_figure(11, 1.1 + 2.4 * rows)
    left, right = figure.subfigures(1, 2, wspace=0.04)
    for part, half, name, colour in ((left, halves[0], "Hits", _HIT), (right, halves[1], "Misses", _MISS)):
        part.suptitle(name if half else f"{name}: none", color=colour, fontsize=12, fontweight="bold")
        axes = part.subplots(rows, 2, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for pair, one in zip(axes, half, strict=False):
            _draw_slice(pair, one, colour)
    figure.suptitle(heading(title, "left: slice, right: with Grad-CAM (dark: none, bright: most)"))
    save_figure(figure, path)


def _draw_slice(axes: Sequence[Any], one: CamSlice, colour: str) -> None:
    for axis in axes:
        axis.imshow(stretched(one.image), cmap="gray", aspect=one.aspect, interpolation="nearest")
    heat = np.nan_to_num(np.asarray(one.heat, float), nan=0.0)
    if heat.max(initial=0) > 0:
        heat = heat / heat.max()
        axes[1].imshow(heat, cmap="inferno", alpha=0.65 * heat**0.5, aspect=one.aspect, vmin=0, vmax=1)
    axes[0].set_title(f"{shortened(one.case_id, 26)}, slice {one.slice}", fontsize=9, color="#444444", loc="left")
    stated = f"{shortened(one.class_name, 14)}: p = {one.probability:.2f}, {'there' if one.truth else 'not there'}"
    axes[1].set_title(stated, fontsize=9, color=colour, loc="left")
