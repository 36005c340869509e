"""Class activation maps: the pixels that decide a classifier's answer."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from medseg.networks.classification.build import SliceClassifier


def grad_cam(network: SliceClassifier, images: Tensor, class_index: int) -> Tensor:
    """Contribution of each pixel to a class, from the last convolutional map.

    Args:
        network: Classifier, left unchanged with its gradients and mode: MONAI's hooks go into a copy.
        images: Slices `(B, in_channels, H, W)`.
        class_index: Index of the class.

    Returns:
        Map `(B, H, W)`, with 1 as each slice's largest value; all zero if no pixel supports the class.

    Source: Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391, eq. 1 and 2.
    """
    from monai.visualize.class_activation_maps import GradCAM

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
