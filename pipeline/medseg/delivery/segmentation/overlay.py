"""A picture of one case: image, reference and mask outlines in three planes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medseg.atomic import atomic_path
from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_labels, resample_linear
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget

_COLOURS = ("#ffb000", "#40b0ff", "#ff5a9e", "#7ddc5a", "#c58bff", "#ff7a3d", "#4be3c6", "#f2f25c")
# Plane, axis that is cut, letters at the left and right edge and at the top and bottom edge. The patient's right is on
# the viewer's left, as radiologists look at scans.
_PLANES = (("axial", 2, "RL", "AP"), ("coronal", 1, "RL", "SI"), ("sagittal", 0, "AP", "SI"))


def save_overlay(scan: Scan, label: Labelmap, mask: Labelmap, path: Path, *, target: VoxelTarget, title: str) -> None:
    """Write a PNG with the outlines of reference (solid) and mask (dashed) over the image.

    Volumes are cut through the middle of the labelled region along each axis; pictures are shown whole.

    Args:
        scan: The image; its first channel is shown, or three channels as colours for a picture.
        label: Reference on the scan's grid.
        mask: Prediction on the same grid.
        path: Target.
        target: Meaning of reference and mask.
        title: Above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    is_flat = 1 in scan.geometry.shape
    figure = Figure(figsize=(6, 6.6) if is_flat else (12, 5), dpi=110, facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 if is_flat else 3, squeeze=False)[0]
    if is_flat:
        _draw_picture(axes[0], scan, label, mask, target)
    else:
        _draw_volume(axes, scan, label, mask, target)
    figure.suptitle(f"{title}\nsolid: reference, dashed: mask", color="white", fontsize=11)
    _add_legend(figure, target.structures)
    figure.subplots_adjust(left=0.03, right=0.97, bottom=0.1, top=0.86, wspace=0.08)
    with atomic_path(path, suffix=".png") as temporary:
        figure.savefig(temporary)


def _draw_picture(axis: Any, scan: Scan, label: Labelmap, mask: Labelmap, target: VoxelTarget) -> None:
    flat = scan.geometry.shape.index(1)
    image = np.take(scan.array, 0, axis=flat + 1)  # (C, I, J)
    shown = image.transpose(2, 1, 0) if image.shape[0] == 3 else image[0].T
    axis.imshow(_stretched(shown), cmap="gray", interpolation="nearest")
    _draw_outlines(axis, np.take(label, 0, axis=flat).T, np.take(mask, 0, axis=flat).T, target)
    axis.set_axis_off()


def _draw_volume(axes: Sequence[Any], scan: Scan, label: Labelmap, mask: Labelmap, target: VoxelTarget) -> None:
    grid = scan.geometry.reoriented("RAS")
    image = resample_linear(torch.from_numpy(scan.array[:1]), scan.geometry, grid)[0].numpy()
    label, mask = (resample_labels(part, scan.geometry, grid) for part in (label, mask))
    centre = _centre(label if label.any() else mask, target)
    for axis, (plane, cut, sides, ends) in zip(axes, _PLANES, strict=True):
        image_cut, label_cut, mask_cut = (_cut(part, cut, centre[cut]) for part in (image, label, mask))
        axis.imshow(_stretched(image_cut), cmap="gray", aspect=_aspect(grid, cut), interpolation="nearest")
        _draw_outlines(axis, label_cut, mask_cut, target)
        axis.set_title(f"{plane}, slice {centre[cut]} of {grid.shape[cut]}", color="white", fontsize=9)
        places = ((0.01, 0.5), (0.97, 0.5), (0.49, 0.96), (0.49, 0.01))
        for letter, (x, y) in zip(sides + ends, places, strict=True):
            axis.text(x, y, letter, color="white", transform=axis.transAxes, fontsize=9, path_effects=_on_any_ground())
        axis.set_axis_off()


def _on_any_ground() -> list[Any]:
    """A dark rim that keeps letters readable on bright tissue."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="black")]


def _cut(volume: Array, axis: int, index: int) -> Array:
    """A plane of a RAS volume as rows and columns: right or anterior on the left, anterior or superior on top."""
    return np.asarray(np.take(volume, index, axis=axis).T[::-1, ::-1])


def _aspect(grid: Geometry, cut: int) -> float:
    """Height over width of a pixel of that plane."""
    width, height = (spacing for axis, spacing in enumerate(grid.spacing_mm) if axis != cut)
    return height / width


def _centre(label: Labelmap, target: VoxelTarget) -> tuple[int, ...]:
    """Along each axis the slice that shows most of all structures, each counted by its share of its own largest."""
    areas = []
    for name in target.structures:
        shown = target.shows(label, name)
        if shown.any():
            areas.append([shown.sum(axis=others) for others in ((1, 2), (0, 2), (0, 1))])
    if not areas:
        return tuple(n // 2 for n in label.shape)
    return tuple(int(sum(area / area.max() for area in along).argmax()) for along in zip(*areas, strict=True))


def _stretched(image: Array) -> Array:
    low, high = np.percentile(image, [0.5, 99.5])
    return np.asarray(np.clip((image - low) / max(float(high - low), 1e-9), 0, 1))


def _draw_outlines(axis: Any, label: Labelmap, mask: Labelmap, target: VoxelTarget) -> None:
    for index, name in enumerate(target.structures):
        colour = _COLOURS[index % len(_COLOURS)]
        for part, style in ((label, "solid"), (mask, "dashed")):
            inside = target.shows(part, name)
            if inside.any() and not inside.all():
                axis.contour(inside.astype(float), levels=[0.5], colors=[colour], linestyles=style, linewidths=1.3)


def _add_legend(figure: Any, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=_COLOURS[n % len(_COLOURS)], label=name) for n, name in enumerate(names[:12])]
    figure.legend(handles=lines, loc="lower center", ncol=6, frameon=False, labelcolor="white", fontsize=9)
