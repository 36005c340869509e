"""Losses of values, in which what is not known does not count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseg.networks.precision import widened
from medseg.training.regression.config import LossKind
from medseg.training.segmentation.over_scales import over_scales

_WINDOW = 7  # voxels a side of the windows of SSIM
_C1, _C2 = 0.01**2, 0.03**2  # of values that range over 1


class ValueLoss(nn.Module):
    """Loss of the values that a network learns, each coarser scale with half the weight of the one before.

    Every quantity counts alike: the mean over its known voxels, then over the quantities that are known anywhere.

    Args:
        kind: Absolute or squared differences, or absolute ones and structural similarity.
        ssim_weight: Weight of 1 - SSIM beside the absolute differences.

    Source: structural similarity after Wang et al. 2004, https://doi.org/10.1109/TIP.2003.819861, eq. 13, with uniform
        windows.
    """

    def __init__(self, kind: LossKind = "l1", *, ssim_weight: float = 0.2) -> None:
        super().__init__()
        self.kind = kind
        self.ssim_weight = ssim_weight

    def forward(self, scales: Sequence[Tensor], values: Tensor) -> Tensor:
        """Loss of outputs `(B, Q, …)` per scale, finest first, against values of the same shape; NaN is not known."""
        return over_scales(self._of_scale, scales, values)

    def _of_scale(self, outputs: Tensor, values: Tensor) -> Tensor:
        outputs = widened(outputs)
        known = ~values.isnan()
        # Filled with the outputs themselves, so that no NaN meets the gradient.
        filled = torch.where(known, values, outputs.detach())
        difference = outputs - filled
        loss = mean_over_known(difference.square() if self.kind == "l2" else difference.abs(), known)
        if self.kind == "l1_ssim" and self.ssim_weight > 0:
            similar, whole = ssim_map(torch.where(known, outputs, filled), filled, known)
            loss = loss + self.ssim_weight * mean_over_known(1 - similar, whole)
        return loss


def mean_over_known(errors: Tensor, known: Tensor) -> Tensor:
    """Mean over the known voxels of each channel, then over the channels that have any; 0 where nothing is known."""
    axes = [axis for axis in range(errors.ndim) if axis != 1]
    counts = known.sum(axes)
    sums = torch.where(known, errors, errors.new_zeros(())).sum(axes)
    means = sums / counts.clamp(min=1)
    return means.sum() / (counts > 0).sum().clamp(min=1)


def ssim_map(outputs: Tensor, values: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """Structural similarity of each window, and whether every voxel in it is known.

    Args:
        outputs: Values of the network, `(B, Q, …)` with two or three axes of voxels.
        values: Reference of the same shape, without NaN.
        known: Voxels whose reference is known.

    Returns:
        Both of the shape of the windows, which are smaller at an axis' ends and on small patches.
    """
    pool = functional.avg_pool3d if outputs.ndim == 5 else functional.avg_pool2d
    window = [min(_WINDOW, size) for size in outputs.shape[2:]]

    def mean(tensor: Tensor) -> Tensor:
        pooled: Tensor = pool(tensor, window, stride=1)
        return pooled

    a, b = mean(outputs), mean(values)
    variance = (mean(outputs * outputs) - a * a).clamp(min=0) + (mean(values * values) - b * b).clamp(min=0)
    covariance = mean(outputs * values) - a * b
    similar = (2 * a * b + _C1) * (2 * covariance + _C2) / ((a * a + b * b + _C1) * (variance + _C2))
    return similar, mean(known.to(outputs.dtype)) > 1 - 1e-3
