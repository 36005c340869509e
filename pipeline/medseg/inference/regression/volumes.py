"""Values of a whole volume, on its native grid."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from medseg.geometry import Geometry
from medseg.inference.segmentation.config import InferenceConfig
from medseg.inference.segmentation.sliding import probability_planes
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.networks.precision import PrecisionKind
from medseg.preprocess.segmentation.restore import SLAB_BYTES
from medseg.preprocess.segmentation.slab_restoring import SlabRestoring
from medseg.records import Array
from medseg.targets import Quantities


def predicted_values(
    network: nn.Module,
    image: Tensor,
    grid: Geometry,
    native: Geometry,
    config: InferenceConfig,
    *,
    target: Quantities,
    device: torch.device,
    precision: PrecisionKind = "fp32",
) -> Array:
    """Slide a network over a volume, blend its windows, and interpolate the values to the scan's own grid.

    Args:
        network: Network in evaluation mode, on `device`.
        image: Preprocessed image `(C, I, J, K)`.
        grid: The network's grid.
        native: The scan's grid; beyond the outermost voxel centres of `grid` the edge value holds.
        config: Sliding window and flips.
        target: Quantities, with the numbers that the network learns.
        device: Device that holds the network.
        precision: Number format of the forward pass.

    Returns:
        float32 `(Q, I, J, K)` in units.
    """
    layout = lay_out_windows(grid.shape, config)
    planes = probability_planes(network, image, layout, target=target, device=device, precision=precision)
    work = SlabRestoring(grid, native, target, layout.axis, SLAB_BYTES)
    for chunk in planes:
        work.add(chunk)
    return work.finish()
