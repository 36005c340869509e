"""A case in three planes, on which something of reference and mask is painted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medseg.audit.canonical import canonical
from medseg.delivery.charts import new_figure, save_figure
from medseg.delivery.pictures import best_slices, cut_plane, mark_sides, pixel_aspect, stretched
from medseg.origin import PictureOrigin
from medseg.plane import PLANES
from medseg.records import Array, Labelmap, Scan

LEGEND_ENTRIES = 12
"""Names that fit below a picture."""

_MOST_SLICES = 96


@dataclass(frozen=True, slots=True)
class Painting:
    """What is painted on the planes.

    Attributes:
        paint: Function that is called with the axes and the cuts of reference and mask, rows and columns as shown.
        shown: Gives, from reference and mask, the regions whose largest slices are shown, one after the other.
        legend: Gives name and colour of what is painted, once it is.
        note: Words below the title.
    """

    paint: Callable[[Any, Labelmap, Labelmap], None]
    shown: Callable[[Labelmap, Labelmap], Iterable[Array]]
    legend: Callable[[], Sequence[tuple[str, str]]]
    note: str


def save_case_planes(
    scan: Scan, label: Labelmap, mask: Labelmap, path: Path, *, painting: Painting, title: str
) -> None:
    """Write a PNG of a case.

    Volumes are cut through the middle of what is shown along each axis; pictures are shown whole.

    Args:
        scan: Image; its first channel is shown, or three channels of a picture as colours.
        label: Reference on the scan's grid.
        mask: Prediction on the same grid.
        path: Target file.
        painting: What is painted on the planes.
        title: Title above the picture.
    """
    panels = panels_of(scan)
    width, height = (12, 5) if panels == 3 else (6, 6.6)
    figure = new_figure(width, height, ground="black", is_arranged=False)
    axes = figure.subplots(1, panels, squeeze=False)[0]
    draw_case_planes(axes, scan, label, mask, painting)
    figure.suptitle(f"{title}\n{painting.note}", color="white", fontsize=11)
    _add_legend(figure, painting.legend())
    figure.subplots_adjust(left=0.03, right=0.97, bottom=0.1, top=0.86, wspace=0.08)
    save_figure(figure, path)


def panels_of(scan: Scan) -> int:
    """Number of planes that show a scan: three of a volume, one of a picture or single slice."""
    return 3 if _flat_axis(scan) is None else 1


def draw_case_planes(axes: Sequence[Any], scan: Scan, label: Labelmap, mask: Labelmap, painting: Painting) -> None:
    """Draw a case on as many axes as `panels_of` says."""
    flat = _flat_axis(scan)
    if flat is None:
        _draw_volume(axes, scan, label, mask, painting)
    else:
        _draw_slice(axes[0], scan.array, label, mask, painting, flat=flat)


def _flat_axis(scan: Scan) -> int | None:
    """The axis across a picture or a single slice; None for a volume."""
    if isinstance(scan.origin, PictureOrigin):
        return 2
    return scan.geometry.shape.index(1) if 1 in scan.geometry.shape else None


def _draw_slice(axis: Any, array: Array, label: Labelmap, mask: Labelmap, painting: Painting, *, flat: int) -> None:
    image = np.take(array, 0, axis=flat + 1)  # (C, I, J)
    shown = image.transpose(2, 1, 0) if image.shape[0] == 3 else image[0].T
    axis.imshow(stretched(shown), cmap="gray", interpolation="nearest")
    painting.paint(axis, np.take(label, 0, axis=flat).T, np.take(mask, 0, axis=flat).T)
    axis.set_axis_off()


def _draw_volume(axes: Sequence[Any], scan: Scan, label: Labelmap, mask: Labelmap, painting: Painting) -> None:
    image, grid = canonical(scan.array[0], scan.geometry)
    label, mask = (canonical(part, scan.geometry)[0] for part in (label, mask))
    centre = _centre(label, mask, painting)
    for axis, plane in zip(axes, PLANES.values(), strict=True):
        cut = plane.axis
        image_cut, label_cut, mask_cut = (cut_plane(part, cut, centre[cut]) for part in (image, label, mask))
        axis.imshow(stretched(image_cut), cmap="gray", aspect=pixel_aspect(grid, cut), interpolation="nearest")
        painting.paint(axis, label_cut, mask_cut)
        axis.set_title(f"{plane.name}, slice {centre[cut]} of {grid.shape[cut]}", color="white", fontsize=9)
        mark_sides(axis, plane.edges)
        axis.set_axis_off()


def _centre(label: Labelmap, mask: Labelmap, painting: Painting) -> list[int]:
    """Indices of the best slices; along long axes only every nth is examined, so that many structures stay cheap."""
    steps = [max(1, n // _MOST_SLICES) for n in label.shape]
    thin = tuple(slice(None, None, step) for step in steps)
    parts = (label[thin], mask[thin])
    if not any(region.any() for region in painting.shown(*parts)):  # thinner than a step
        steps, parts = [1, 1, 1], (label, mask)
    best = best_slices(painting.shown(*parts), parts[0].shape)
    return [index * step for index, step in zip(best, steps, strict=True)]


def _add_legend(figure: Any, entries: Sequence[tuple[str, str]]) -> None:
    """Name the first entries, and say how many more there are."""
    from matplotlib.lines import Line2D

    more = len(entries) - LEGEND_ENTRIES
    shown = [*entries[: LEGEND_ENTRIES - 1], (f"and {more + 1} more", "none")] if more > 0 else entries
    lines = [Line2D([], [], color=colour, label=name) for name, colour in shown]
    figure.legend(handles=lines, loc="lower center", ncol=6, frameon=False, labelcolor="white", fontsize=9)
