"""The grid on which the network works, for a given scan."""

from __future__ import annotations

from pipeline.geometry import Geometry
from pipeline.preprocess.config import PreprocessConfig


def plan_grid(geometry: Geometry, config: PreprocessConfig) -> Geometry:
    """The scan's own axes, reoriented and respaced as planned; an oblique scan stays oblique.

    Without an orientation (2D), a single slice is turned so that the axis of length one comes last.
    """
    if config.axcodes is not None:
        grid = geometry.reoriented(config.axcodes)
    elif geometry.shape[2] > 1 and 1 in geometry.shape:
        flat = geometry.shape.index(1)
        grid = geometry.permuted([axis for axis in range(3) if axis != flat] + [flat])
    else:
        grid = geometry
    return grid if config.spacing_mm is None else grid.resampled(config.spacing_mm)
