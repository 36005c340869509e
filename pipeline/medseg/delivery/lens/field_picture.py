"""A picture of receptive fields: the theoretical ones as boxes, the effective one as a map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from medseg.delivery.charts import line_style, new_figure, save_figure, shortened
from medseg.records import Array

_EFFECTIVE, _PATCH = "#000000", "#666666"
_ROOM = 1.06  # length of the axes over that of the largest box
_MOST_BOXES = 12


class FieldBox(NamedTuple):
    """A receptive field.

    Attributes:
        name: Name of the stage.
        size: Voxels per axis.
    """

    name: str
    size: tuple[int, ...]


def save_field_picture(
    boxes: Sequence[FieldBox],
    density: Array,
    path: Path,
    *,
    effective_size: Sequence[float],
    centre: Sequence[float],
    patch: Sequence[int],
    spacing_mm: Sequence[float] | None = None,
    title: str = "",
) -> None:
    """Write a PNG with a panel of boxes and a panel with the map for each pair of axes.

    All boxes are drawn about one centre. The map is summed over the third axis, and its colours follow the square root,
    so that faint parts show.

    Args:
        boxes: Theoretical fields, smallest first.
        density: Effective field, in the shape of the measured image.
        path: Target file.
        effective_size: Voxels per axis that hold 95.45 % of the effective field; NaN draws none.
        centre: Voxel of the measured image at the centre of the fields.
        patch: Voxels per axis of a patch.
        spacing_mm: Voxel size; None draws in voxels.
        title: Title above the picture.
    """
    scale = np.ones(len(patch)) if spacing_mm is None else np.asarray(spacing_mm, float)
    unit = "voxels" if spacing_mm is None else "mm"
    pairs = [(0, 1), (0, 2), (1, 2)] if len(patch) == 3 else [(0, 1)]
    figure = new_figure(12, 8) if len(pairs) > 1 else new_figure(9.5, 5)
    panels = np.asarray(figure.subplots(2, 3) if len(pairs) > 1 else figure.subplots(1, 2)).reshape(2, len(pairs))
    sizes = {"patch": np.asarray(patch) * scale, "effective": np.asarray(effective_size, float) * scale}
    fields = {box.name: np.asarray(box.size) * scale for box in boxes[-_MOST_BOXES:]}
    image = None
    for pair, upper, lower in zip(pairs, panels[0], panels[1], strict=True):
        _draw_boxes(upper, pair, fields, sizes["patch"])
        image = _draw_map(lower, pair, np.asarray(density), np.asarray(centre, float), scale)
        _draw_box(lower, sizes["effective"], pair, color=_EFFECTIVE, linewidth=1.8)
        for axis in (upper, lower):
            axis.set_xlabel(f"{'ijk'[pair[0]]}, {unit} from the centre")
            axis.set_ylabel(f"{'ijk'[pair[1]]}, {unit}")
            axis.set_aspect("equal")
    panels[0, 0].set_title("by theory", loc="left", fontsize=11)
    panels[1, 0].set_title("effective, before training", loc="left", fontsize=11)
    bar = figure.colorbar(image, ax=panels[1, -1], shrink=0.8)
    bar.set_label("gradient, share of the largest")
    _legend(figure, panels, unit, fields, sizes)
    figure.suptitle(shortened(title, 100))
    save_figure(figure, path)


def _draw_boxes(axis: Any, pair: tuple[int, int], fields: dict[str, Array], patch: Array) -> None:
    for index, size in enumerate(fields.values()):
        _draw_box(axis, size, pair, linewidth=1.6, **line_style(index))
    _draw_box(axis, patch, pair, color=_PATCH, linewidth=1.2, linestyle="dashed")
    largest = np.max([patch, *fields.values()], axis=0) * _ROOM / 2
    axis.set_xlim(-largest[pair[0]], largest[pair[0]])
    axis.set_ylim(-largest[pair[1]], largest[pair[1]])


def _draw_map(axis: Any, pair: tuple[int, int], density: Array, centre: Array, scale: Array) -> Any:
    from matplotlib.colors import PowerNorm

    others = tuple(other for other in range(density.ndim) if other not in pair)
    plane = density.sum(axis=others)
    edges = [(np.array([-0.5, density.shape[a] - 0.5]) - centre[a]) * scale[a] for a in pair]
    largest = float(plane.max())
    return axis.imshow(
        (plane / largest if largest > 0 else plane).T,  # rows are the second axis
        extent=(*edges[0], *edges[1]),
        origin="lower",
        cmap="magma_r",
        norm=PowerNorm(0.5, vmin=0, vmax=1),
        interpolation="nearest",
    )


def _draw_box(axis: Any, size: Array, pair: tuple[int, int], **style: Any) -> None:
    from matplotlib.patches import Rectangle

    width, height = float(size[pair[0]]), float(size[pair[1]])
    if np.isfinite([width, height]).all():
        axis.add_patch(Rectangle((-width / 2, -height / 2), width, height, fill=False, **style))


def _legend(figure: Any, panels: Array, unit: str, fields: dict[str, Array], sizes: dict[str, Array]) -> None:
    """Names and sizes of all boxes, below the panels."""
    from matplotlib.lines import Line2D

    handles = []
    for index, (name, size) in enumerate(fields.items()):
        style: dict[str, Any] = line_style(index)
        handles.append(Line2D([], [], linewidth=1.6, label=f"{name}: {_times(size)} {unit}", **style))
    handles.append(
        Line2D([], [], color=_PATCH, linestyle="dashed", linewidth=1.2, label=f"patch: {_times(sizes['patch'])} {unit}")
    )
    if np.isfinite(sizes["effective"]).all():
        label = f"95.45 % of the gradient: {_times(sizes['effective'])} {unit}"
        handles.append(Line2D([], [], color=_EFFECTIVE, linewidth=1.8, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if len(panels[0]) > 1 else 3, frameon=False,
                  fontsize=9)  # fmt: skip


def _times(size: Array) -> str:
    return "×".join(map(_length, size))


def _length(length: float) -> str:
    if length >= 10 or length == int(length):
        return f"{length:.0f}"
    return f"{length:.1f}" if length >= 1 else f"{length:.2g}"
