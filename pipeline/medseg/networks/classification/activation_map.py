"""Where a classifier looks: class activation maps."""

from __future__ import annotations

import copy

import torch
from monai.visualize.class_activation_maps import GradCAM
from torch import Tensor

from medseg.networks.classification.build import SliceClassifier


def grad_cam(network: SliceClassifier, images: Tensor, class_index: int) -> Tensor:
    """How much each pixel speaks for a class, from the last convolutional map.

    Args:
        network: Left as it is, its gradients and mode included: MONAI's hooks go into a copy.
        images: Slices `(B, in_channels, H, W)`.
        class_index: The class.

    Returns:
        Map `(B, H, W)`, each slice's largest value 1; all zero where nothing speaks for the class.

    Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, eq. 1 and 2.
    """
    subject = copy.deepcopy(network).requires_grad_(True).eval()
    with torch.enable_grad():
        maps: Tensor = GradCAM(subject, network.last_map, postprocessing=_scale)(
            images.detach().clone().requires_grad_(), class_idx=class_index
        )
    return maps.detach()[:, 0]


def _scale(maps: Tensor) -> Tensor:
    """Each map `(B, 1, H, W)` divided by its largest value."""
    largest = maps.amax(dim=(1, 2, 3), keepdim=True)
    return maps / torch.where(largest > 0, largest, 1)
