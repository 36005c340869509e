"""Structures painted over a scan in the colours of their segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from medseg.delivery.segmentation.case_planes import Painting
from medseg.records import Array, Labelmap
from medseg.scans.segment import Segment

_OPACITY = 0.35


def segment_painting(segments: Sequence[Segment]) -> Painting:
    """Structures in translucent colours with opaque outlines; of those that overlap the last one is on top."""

    def paint(axis: Any, label: Labelmap, mask: Labelmap) -> None:
        axis.imshow(_coloured(mask, segments), interpolation="nearest", aspect=axis.get_aspect())

    def shown(label: Labelmap, mask: Labelmap) -> Iterator[Array]:
        present = set(np.flatnonzero(np.bincount(mask.ravel())).tolist())
        return (one.mask(mask) for one in segments if present.intersection(one.values))

    return Painting(paint=paint, shown=shown, legend=tuple, note="")


def _coloured(plane: Labelmap, segments: Sequence[Segment]) -> Array:
    """Red, green, blue and opacity of a plane, shape `(rows, columns, 4)`."""
    picture = np.zeros((*plane.shape, 4))
    present = set(np.unique(plane).tolist())
    for segment in segments:
        if present.isdisjoint(segment.values):
            continue
        inside = segment.mask(plane)
        picture[inside, :3] = np.array(segment.colour) / 255
        picture[inside, 3] = _OPACITY
        picture[_rim(inside), 3] = 1.0
    return picture


def _rim(inside: Array) -> Array:
    """Pixels of a region that touch something else."""
    padded = np.pad(inside, 1)
    is_inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(inside & ~is_inner)
