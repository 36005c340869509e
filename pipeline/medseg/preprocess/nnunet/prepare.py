"""A scan on the grid of an nnU-Net model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.preprocess.body import inside
from medseg.preprocess.grid import part_of
from medseg.preprocess.nnunet.config import NnunetPreprocess, NnunetResampling
from medseg.preprocess.nnunet.crop import nonzero_region
from medseg.preprocess.nnunet.grid import NnunetGrids, along_axes
from medseg.preprocess.nnunet.normalise import normalise
from medseg.preprocess.nnunet.resize import resize
from medseg.preprocess.nnunet.stage_labels import one_hot_labels
from medseg.records import Array, Labelmap, Mask, Scan


@dataclass(frozen=True, slots=True, eq=False)
class StageLabels:
    """The mask that the earlier stage of a cascade drew.

    Attributes:
        mask: Label values on the scan's grid, `(I, J, K)`.
        values: Label values that the later network takes, one channel each.
    """

    mask: Labelmap
    values: tuple[int, ...]


def nnunet_image(
    scan: Scan, grids: NnunetGrids, config: NnunetPreprocess, *, earlier: StageLabels | None = None
) -> Tensor:
    """Crop, normalise and resample a scan as nnU-Net does.

    Args:
        scan: Scan as it was read; its array is not changed.
        grids: Grids of the scan.
        config: Grid and intensities.
        earlier: Mask of the earlier stage of a cascade, whose labels become further channels.

    Returns:
        Shape `(C, I, J, K)` on the network's grid, float32.

    Raises:
        ConfigError: If scan and configuration differ in their number of channels.
        ScanError: If a picture's values are no colours.
    """
    if len(scan.array) != len(config.schemes):
        raise ConfigError(
            f"normalisation must have one scheme for each of {len(scan.array)} channels, got {len(config.schemes)}"
        )
    cropped = inside(scan.array, grids.box)
    region = nonzero_region(cropped) if earlier or any(scheme.is_masked for scheme in config.schemes) else None
    labels = None if earlier is None or region is None else _outside_marked(inside(earlier.mask, grids.box), region)
    counted = region if labels is None else np.asarray(labels >= 0)
    channels = []
    for channel, scheme in zip(cropped, config.schemes, strict=True):
        values = normalise(channel, scheme, region=counted)
        channels.append(_on_network_grid(values, scan.geometry, grids, config.image))
    if earlier is not None and labels is not None:
        turned = _turned(labels, scan.geometry, grids)
        channels += one_hot_labels(turned, earlier.values, grids, config.labels)
    return torch.stack(channels)


def _on_network_grid(values: Array, whole: Geometry, grids: NnunetGrids, resampling: NnunetResampling) -> Tensor:
    return resize(
        _turned(values, whole, grids),
        grids.network.shape,
        order=resampling.order,
        coarse_axis=grids.coarse_axis(resampling),
        order_z=resampling.order_z,
    )


def _turned(array: Array, whole: Geometry, grids: NnunetGrids) -> Array:
    """An array of the box with its axes in the order and direction of the patch's."""
    return np.ascontiguousarray(along_axes(array, part_of(whole, grids.box), grids.native))


def _outside_marked(labels: Labelmap, region: Mask) -> Array:
    """Labels of an earlier stage, with -1 where nothing was found outside the nonzero region."""
    marked = labels.astype(np.int16)
    marked[(marked == 0) & ~region] = -1
    return marked
