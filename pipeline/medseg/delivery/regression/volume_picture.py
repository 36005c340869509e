"""A picture of one predicted quantity: reference, prediction and their difference in three planes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medseg.audit.canonical import canonical
from medseg.delivery.charts import new_figure, save_figure
from medseg.delivery.pictures import cut_plane, mark_sides, pixel_aspect
from medseg.evaluation.regression import is_dose
from medseg.geometry import Geometry
from medseg.plane import PLANES
from medseg.quantity import Quantity
from medseg.records import Array

_UNKNOWN = "#606060"
_LARGEST_SHOWN = 99.8  # percentile of the differences at which their colours end
_LONGEST_INCHES = 3.2
_Extend = Literal["neither", "min", "max", "both"]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A plane as it is shown, rows and columns.

    Attributes:
        reference: Values of the reference.
        predicted: Predicted values.
        title: Name of the plane and the slice; empty for a picture.
        letters: Sides of the patient at the edges; empty for a picture.
        aspect: Height over width of a pixel.
    """

    reference: Array
    predicted: Array
    title: str
    letters: str
    aspect: float

    @property
    def difference(self) -> Array:
        """Predicted - reference."""
        difference: Array = self.predicted.astype(np.float64) - self.reference
        return difference


def save_volume_picture(
    reference: Array, predicted: Array, geometry: Geometry, path: Path, *, quantity: Quantity, title: str
) -> None:
    """Write a PNG of the planes in which the error is largest.

    Reference and prediction share one colour bar, which ends at the reference's extremes; that of the difference is
    symmetric. An arrow at the end of a bar says that values lie beyond it. Voxels that are not known are grey.

    Args:
        reference: Values of shape `(I, J, K)`; NaN where they are not known.
        predicted: Values on the same grid.
        geometry: Grid of both.
        path: Target file.
        quantity: Unit and range of the values.
        title: Title above the picture.
    """
    cuts = _cuts(reference, predicted, geometry)
    heights, width = _sizes(cuts)
    figure = new_figure(3 * width + 2.2, sum(heights) + 0.45 * len(cuts) + 0.9)
    axes = figure.subplots(len(cuts), 3, squeeze=False, height_ratios=heights)
    low, high = quantity.range or _ends(reference)
    reach = _reach(cuts)
    colours = "viridis" if is_dose(quantity) else "gray"
    for row, cut in zip(axes, cuts, strict=True):
        columns = (
            ("reference", cut.reference, colours, (low, high)),
            ("predicted", cut.predicted, colours, (low, high)),
            ("predicted - reference", cut.difference, "RdBu_r", (-reach, reach)),
        )
        for axis, (name, values, palette, limits) in zip(row, columns, strict=True):
            _show(axis, values, cut, palette, limits)
            axis.set_title(f"{name}, {cut.title}" if cut.title else name, fontsize=9)
    shown = [values for cut in cuts for values in (cut.reference, cut.predicted)]
    _bar(figure, axes[:, :2], axes[0, 0].images[0], quantity.unit, _extend(shown, low, high))
    _bar(
        figure, axes[:, 2:], axes[0, 2].images[0], f"difference, {quantity.unit}",
        _extend([cut.difference for cut in cuts], -reach, reach),
    )  # fmt: skip
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def _cuts(reference: Array, predicted: Array, geometry: Geometry) -> list[_Cut]:
    """The planes that are shown: three of a volume, one of a picture or single slice."""
    if 1 in geometry.shape:
        flat = geometry.shape.index(1)
        first, second = (mm for axis, mm in enumerate(geometry.spacing_mm) if axis != flat)
        one, other = (np.take(values, 0, axis=flat).T for values in (reference, predicted))
        return [_Cut(one, other, title="", letters="", aspect=second / first)]
    (reference, grid), (predicted, _) = (canonical(values, geometry) for values in (reference, predicted))
    error = np.abs(predicted - reference)
    cuts = []
    for plane in PLANES.values():
        others = tuple(axis for axis in range(3) if axis != plane.axis)
        index = int(np.argmax(np.nansum(error, axis=others, dtype=np.float64)))
        one, other = (cut_plane(values, plane.axis, index) for values in (reference, predicted))
        title = f"{plane.name} {index} of {grid.shape[plane.axis]}"
        cuts.append(_Cut(one, other, title=title, letters=plane.edges, aspect=pixel_aspect(grid, plane.axis)))
    return cuts


def _sizes(cuts: list[_Cut]) -> tuple[list[float], float]:
    """Height of each row and width of all columns in inches."""
    shapes = [(cut.reference.shape[0] * cut.aspect, cut.reference.shape[1]) for cut in cuts]
    scale = min(_LONGEST_INCHES / max(shape) for shape in shapes)
    return [max(height * scale, 0.8) for height, _ in shapes], max(max(width * scale for _, width in shapes), 1.6)


def _ends(reference: Array) -> tuple[float, float]:
    low, high = float(np.nanmin(reference)), float(np.nanmax(reference))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _reach(cuts: list[_Cut]) -> float:
    """Difference at which the colours end; above 0 also for equal volumes."""
    every = np.concatenate([np.abs(cut.difference).ravel() for cut in cuts])
    known = every[~np.isnan(every)]
    reach = float(np.percentile(known, _LARGEST_SHOWN)) if known.size else 0.0
    return reach or (float(known.max()) if known.size else 0.0) or 1.0


def _show(axis: Any, values: Array, cut: _Cut, colours: str, limits: tuple[float, float]) -> None:
    import matplotlib

    palette = matplotlib.colormaps[colours].with_extremes(bad=_UNKNOWN)
    low, high = limits
    axis.imshow(values, cmap=palette, vmin=low, vmax=high, aspect=cut.aspect, interpolation="nearest")
    if cut.letters:
        mark_sides(axis, cut.letters)
    axis.set_axis_off()


def _bar(figure: Any, axes: Any, image: Any, label: str, extend: _Extend) -> None:
    bar = figure.colorbar(image, ax=axes, extend=extend, fraction=0.05, pad=0.02)
    bar.set_label(label)


def _extend(shown: list[Array], low: float, high: float) -> _Extend:
    """Ends of a colour bar beyond which values lie."""
    below = any(bool((values < low).any()) for values in shown)
    above = any(bool((values > high).any()) for values in shown)
    if below and above:
        return "both"
    return "min" if below else "max" if above else "neither"
