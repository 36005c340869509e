"""A picture of one case: image, reference and mask outlines in three planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medseg.delivery.charts import LABEL_COLOURS, new_figure, save_figure
from medseg.delivery.pictures import best_slices, cut_plane, stretched
from medseg.geometry import Geometry
from medseg.origin import PictureOrigin
from medseg.plane import PLANES
from medseg.preprocess.resample import resample_labels, resample_linear
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget

_MOST_SLICES = 96
_LETTER_PLACES = ((0.01, 0.5), (0.97, 0.5), (0.49, 0.96), (0.49, 0.01))


def save_overlay(scan: Scan, label: Labelmap, mask: Labelmap, path: Path, *, target: VoxelTarget, title: str) -> None:
    """Write a PNG with the outlines of reference (solid) and mask (dashed) over the image.

    Volumes are cut through the middle of the labelled region along each axis; pictures are shown whole.

    Args:
        scan: Image; its first channel is shown, or three channels of a picture as colours.
        label: Reference on the scan's grid.
        mask: Prediction on the same grid.
        path: Target file.
        target: Meaning of reference and mask.
        title: Title above the picture.
    """
    flat = _flat_axis(scan)
    width, height = (12, 5) if flat is None else (6, 6.6)
    figure = new_figure(width, height, ground="black", is_arranged=False)
    axes = figure.subplots(1, 3 if flat is None else 1, squeeze=False)[0]
    if flat is None:
        _draw_volume(axes, scan, label, mask, target)
    else:
        _draw_slice(axes[0], scan.array, label, mask, target, flat=flat)
    figure.suptitle(f"{title}\nsolid: reference, dashed: mask", color="white", fontsize=11)
    _add_legend(figure, target.structures)
    figure.subplots_adjust(left=0.03, right=0.97, bottom=0.1, top=0.86, wspace=0.08)
    save_figure(figure, path)


def _flat_axis(scan: Scan) -> int | None:
    """The axis across a picture or a single slice; None for a volume."""
    if isinstance(scan.origin, PictureOrigin):
        return 2
    return scan.geometry.shape.index(1) if 1 in scan.geometry.shape else None


def _draw_slice(axis: Any, array: Array, label: Labelmap, mask: Labelmap, target: VoxelTarget, *, flat: int) -> None:
    image = np.take(array, 0, axis=flat + 1)  # (C, I, J)
    shown = image.transpose(2, 1, 0) if image.shape[0] == 3 else image[0].T
    axis.imshow(stretched(shown), cmap="gray", interpolation="nearest")
    _draw_outlines(axis, np.take(label, 0, axis=flat).T, np.take(mask, 0, axis=flat).T, target)
    axis.set_axis_off()


def _draw_volume(axes: Sequence[Any], scan: Scan, label: Labelmap, mask: Labelmap, target: VoxelTarget) -> None:
    grid = scan.geometry.reoriented("RAS")
    image = resample_linear(torch.from_numpy(scan.array[:1]), scan.geometry, grid)[0].numpy()
    label, mask = (resample_labels(part, scan.geometry, grid) for part in (label, mask))
    shown = label if label.any() else mask
    centre = _centre(shown, grid.shape, target)
    for axis, plane in zip(axes, PLANES.values(), strict=True):
        cut = plane.axis
        image_cut, label_cut, mask_cut = (cut_plane(part, cut, centre[cut]) for part in (image, label, mask))
        axis.imshow(stretched(image_cut), cmap="gray", aspect=_aspect(grid, cut), interpolation="nearest")
        _draw_outlines(axis, label_cut, mask_cut, target)
        axis.set_title(f"{plane.name}, slice {centre[cut]} of {grid.shape[cut]}", color="white", fontsize=9)
        for letter, (x, y) in zip(plane.edges, _LETTER_PLACES, strict=True):
            axis.text(x, y, letter, color="white", transform=axis.transAxes, fontsize=9, path_effects=_on_any_ground())
        axis.set_axis_off()


def _centre(shown: Labelmap, shape: Sequence[int], target: VoxelTarget) -> list[int]:
    """Indices of the best slices; along long axes only every nth is examined, so that many structures stay cheap."""
    steps = [max(1, n // _MOST_SLICES) for n in shape]
    thinned = shown[tuple(slice(None, None, step) for step in steps)]
    if not thinned.any():  # structures thinner than a step
        steps, thinned = [1, 1, 1], shown
    best = best_slices((target.shows(thinned, name) for name in target.structures), thinned.shape[-3:])
    return [index * step for index, step in zip(best, steps, strict=True)]


def _on_any_ground() -> list[Any]:
    """A dark rim that keeps letters readable on bright tissue."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black")]


def _aspect(grid: Geometry, cut: int) -> float:
    """Height over width of a pixel of that plane."""
    width, height = (spacing for axis, spacing in enumerate(grid.spacing_mm) if axis != cut)
    return height / width


def _draw_outlines(axis: Any, label: Labelmap, mask: Labelmap, target: VoxelTarget) -> None:
    for index, name in enumerate(target.structures):
        colour = LABEL_COLOURS[index % len(LABEL_COLOURS)]
        for part, style in ((label, "solid"), (mask, "dashed")):
            inside = target.shows(part, name)
            if inside.any() and not inside.all():
                axis.contour(inside.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=1.3)


def _add_legend(figure: Any, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=LABEL_COLOURS[n % len(LABEL_COLOURS)], label=name) for n, name in enumerate(names[:12])
    ]
    figure.legend(handles=lines, loc="lower center", ncol=6, frameon=False, labelcolor="white", fontsize=9)
