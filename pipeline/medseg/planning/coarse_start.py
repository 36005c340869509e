"""A start on coarser voxels, for a patch and a network."""

from __future__ import annotations

import numpy as np

from medseg.networks.segmentation import AnyNetwork
from medseg.planning.sizes import COARSE
from medseg.records import Array
from medseg.training.segmentation import CoarseStart

_COARSE_BATCH = 2


def plan_coarse_start(
    patch: tuple[int, int, int],
    spacing: Array,
    network: AnyNetwork,
    *,
    share: float,
    reasons: dict[str, str],
) -> CoarseStart | None:
    """Patches of the same extent on voxels twice as large along the fine axes; None where they would be too small.

    Args:
        patch: Voxels of a patch on the grid itself.
        spacing: Voxel size of the grid, `(3,)`.
        network: Network, which says what its patches are multiples of.
        share: Share of the training; 0 is none.
        reasons: Reasons of the plan, to which that of the start is added.
    """
    if share == 0:
        return None
    factor = np.where(spacing < COARSE * spacing.min(), 2, 1)
    multiple = np.array(network.patch_multiple)
    coarse = (np.ceil(np.array(patch) / factor / multiple) * multiple).astype(int)
    if np.prod(np.ceil(coarse / np.array(network.reduction))) == 1 or 2 * np.prod(coarse) > np.prod(patch):
        return None
    reasons["training.coarse_start"] = (
        f"the first {share:.0%} on coarser voxels, where a step costs a fraction and shapes are learned as well; the "
        "rest wins the boundaries back (benchmarks/README.md)"
    )
    (f, g, h), (i, j, k) = (tuple(int(n) for n in sizes) for sizes in (factor, coarse))
    return CoarseStart(share=share, factor=(f, g, h), patch_size=(i, j, k), batch_size=_COARSE_BATCH)
