"""Labels of which some voxels are not annotated, on another grid."""

from __future__ import annotations

import numpy as np
import torch

from medseg.geometry import Geometry
from medseg.preprocess.resample import resample_averaged, resample_labels
from medseg.records import Array, Labelmap

_ROUNDING = 1e-4


def resample_partial(labels: Labelmap, source: Geometry, target: Geometry, *, ignore: int) -> Labelmap:
    """Move labels to another grid, where voxels that nobody has annotated stay so.

    Where all voxels that make up a new one are annotated, they decide as in `resample_labels`. Else the nearest voxel
    does, with its label or as one that is ignored, so that no background is made up beside a scribble.

    Args:
        labels: Shape `(I, J, K)` on the source grid.
        source: Grid of the labels.
        target: Grid to compute, with parallel axes.
        ignore: Value of voxels that nobody has annotated.

    Returns:
        Labels of the same type on the target grid; no new values.
    """
    is_ignored = labels == ignore
    decided = resample_labels(np.where(is_ignored, labels.dtype.type(0), labels), source, target)
    if not is_ignored.any():
        return decided
    share = resample_averaged(torch.from_numpy(is_ignored.astype(np.float32))[None], source, target)[0].numpy()
    return np.where(share > _ROUNDING, _nearest(labels, source, target), decided)


def _nearest(labels: Labelmap, source: Geometry, target: Geometry) -> Array:
    """Value of the source's voxel that is nearest to each one of the target."""
    maps = target.axis_maps(source)
    order = [axis_map.source_axis for axis_map in maps]
    places = [
        np.clip(np.rint(one.offset + one.scale * np.arange(size)), 0, source.shape[one.source_axis] - 1).astype(int)
        for one, size in zip(maps, target.shape, strict=True)
    ]
    return np.asarray(labels.transpose(order)[np.ix_(*places)])
