"""The pictures of one scan."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from medseg.geometry import Geometry
from medseg.preprocess.classification.config import SliceConfig
from medseg.preprocess.classification.slice_axis import SliceAxis, slice_axis
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.resample import resample_linear
from medseg.preprocess.scan import preprocess_scan
from medseg.records import Scan


def slice_stack(scan: Scan, config: SliceConfig) -> tuple[Tensor, SliceAxis]:
    """Normalise a scan, cut it into slices, and bring each to the same pixels.

    Nothing is interpolated from slice to slice, so that slice n of the stack is one slice of the scan.

    Args:
        scan: Scan as it was read.
        config: Plane, pixels and intensities.

    Returns:
        Pictures `(slices, C, I, J)` float32 in the order of the slice axis' grid, and that axis.
    """
    found = slice_axis(scan.geometry, config.plane)
    as_stored = PreprocessConfig(axcodes=scan.geometry.axcodes, normalisation=config.normalisation)
    normalised, grid, _ = preprocess_scan(scan, as_stored)
    image = resample_linear(normalised, grid, found.grid)  # (C, I, J, slices): permuted and flipped only
    pictures = image.permute(3, 0, 1, 2).contiguous()  # (slices, C, I, J)
    return _fitted(_resized(pictures, found.grid, config.pixel_mm), config.size), found


def with_context(stack: Tensor, index: int, context: int) -> Tensor:
    """Slice `index` with its neighbours as channels; beyond the ends the last slice is repeated.

    Args:
        stack: Pictures `(slices, C, I, J)` in order.
        index: Index of the slice.
        context: Number of neighbours on either side.

    Returns:
        Picture `(C * (2 * context + 1), I, J)`: all slices of the first image channel come first, lowest first.
    """
    wanted = [min(max(index + step, 0), len(stack) - 1) for step in range(-context, context + 1)]
    return stack[wanted].transpose(0, 1).flatten(0, 1)


def _resized(pictures: Tensor, grid: Geometry, pixel_mm: float) -> Tensor:
    """The same extent with other pixels; larger ones average all that they cover."""
    size = [max(1, round(grid.shape[axis] * grid.spacing_mm[axis] / pixel_mm)) for axis in (0, 1)]
    if size == list(pictures.shape[2:]):
        return pictures
    return functional.interpolate(pictures, size=size, mode="bilinear", antialias=True)


def _fitted(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    """Crop or pad the last two axes about their centres."""
    for axis, wanted in zip((2, 3), size, strict=True):
        spare = pictures.shape[axis] - wanted
        if spare > 0:
            pictures = pictures.narrow(axis, spare // 2, wanted)
        elif spare < 0:
            before, after = -spare // 2, -spare - -spare // 2
            pad = (0, 0, before, after) if axis == 2 else (before, after)
            pictures = functional.pad(pictures, pad)
    return pictures.contiguous()
