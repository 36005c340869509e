"""A UNet with a second head: classes of slices or of the whole scan from the encoder's coarsest features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseg.networks.config import NetworkConfig
from medseg.networks.layers import CONV
from medseg.networks.segmentation.unet import UNet

HEAD_TENSORS = ("head.", "log_variances")
"""How the names of the tensors begin that a network without a head does not have."""

_SHARPNESS = 4.0


class MultitaskUNet(UNet):
    """One encoder with a decoder for masks and a head for classes.

    Called like any network it gives the logits of masks alone, so that whatever draws masks needs to know no more.

    Attributes:
        log_variances: Logarithms of the variances of masks and classes, by which their losses may be weighted.

    Args:
        config: Shape of the network, with at least one of `head_classes`.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)  # first, so that a seed gives encoder and decoder the weights that it gives a UNet
        self.head = CONV[config.spatial_dims](config.channels[-1], config.head_classes, 1)
        self.log_variances = nn.Parameter(torch.zeros(2))

    def with_evidence(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits of every supervised stage, and the evidence for each class at every place of the coarsest stage.

        Args:
            x: Image `(B, in_channels, I, J[, K])`.

        Returns:
            Logits as `scales` gives them, and evidence `(B, head_classes, i, j[, k])`; see `pooled`.
        """
        features = self.encoder(x)
        evidence: Tensor = self.head(features[-1])
        logits: list[Tensor] = self.decoder(features)
        return [self.cut(logits[0], x), *logits[1:]], evidence


def pooled(evidence: Tensor, axes: Sequence[int]) -> Tensor:
    """Logits of larger parts of a scan from the evidence at their places: a smooth maximum.

    `log(mean(exp(r x))) / r` with r = 4: a class is in a part if it is at one of its places, and all places learn.

    Args:
        evidence: Evidence of any shape.
        axes: Axes that are pooled.

    Source: Pinheiro and Collobert 2015, https://arxiv.org/abs/1411.6228, eq. 6.
    """
    dims = tuple(axes)
    count = math.prod(evidence.shape[axis] for axis in dims)
    return (torch.logsumexp(_SHARPNESS * evidence.float(), dims) - math.log(count)) / _SHARPNESS
