"""A scan on the grid of the network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.grid import Box, network_grid, part_of
from medseg.preprocess.intensities import normalisation
from medseg.preprocess.resample import resample_averaged, resample_labels
from medseg.records import Array, Labelmap, Scan


def preprocess_scan(
    scan: Scan, config: PreprocessConfig, *, label: Labelmap | None = None, box: Box | None = None
) -> tuple[Tensor, Geometry, Labelmap | None]:
    """Bring a scan, and its label if given, onto the network's grid.

    The values are those of the MONAI transforms of `medseg.preprocess.transforms`.

    Args:
        scan: Scan as it was read.
        config: Grid and intensities.
        label: Reference on the scan's grid, shape `(I, J, K)`.
        box: Voxels of the network's grid to compute; all if not given. Their values are the same as without a box.

    Returns:
        Image `(C, I', J', K')` float32, its grid, and the label on that grid.

    Raises:
        ConfigError: If scan and configuration differ in their number of channels.
    """
    check_channels(scan, config)
    grid = network_grid(scan.geometry, config)
    grid = part_of(grid, box) if box is not None else grid
    image = _as_tensor(scan.array)
    values = resample_averaged(image, scan.geometry, grid, change=normalisation(image, config))
    return values, grid, resample_labels(label, scan.geometry, grid) if label is not None else None


def check_channels(scan: Scan, config: PreprocessConfig) -> None:
    """Refuse a scan with another number of channels than a configuration has.

    Raises:
        ConfigError: If their numbers differ.
    """
    if scan.array.shape[0] != len(config.normalisation):
        raise ConfigError(
            f"preprocess.normalisation must have one entry for each of {scan.array.shape[0]} channels, "
            f"got {len(config.normalisation)}"
        )


def _as_tensor(array: Array) -> Tensor:
    """The array as a tensor, copied only where torch does not read it as it is: reversed, read-only, swapped bytes."""
    is_readable = array.flags.writeable and array.dtype.isnative and all(stride >= 0 for stride in array.strides)
    return torch.from_numpy(array if is_readable else np.array(array, array.dtype.newbyteorder("="), order="C"))
