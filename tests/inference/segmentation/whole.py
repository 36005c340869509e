"""The whole-volume way by MONAI alone, which needs memory for all classes of all voxels: what streaming must equal."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig
from medseg.preprocess.resample import resample_linear
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn


class Edgy(nn.Module):
    """Random 3×3(×3) convolutions: zero padding makes the logits of a voxel depend on where its window lies."""

    def __init__(self, *, classes: int = 3, channels: int = 1, dims: int = 3, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        conv = nn.Conv3d if dims == 3 else nn.Conv2d
        self.layers = nn.Sequential(
            conv(channels, 4, 3, padding=1), nn.ReLU(), conv(4, classes, 3, padding=1)
        ).requires_grad_(False)
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shapes.append(tuple(x.shape))
        logits: Tensor = 3 * self.layers(x)
        return logits


def whole_probabilities(network: nn.Module, image: Tensor, config: InferenceConfig) -> Tensor:
    """Mean over flipped copies of the softmax of MONAI's logits of the whole volume."""
    is_2d = config.patch_size[2] == 1
    found = []
    for count in range(len(config.mirror_axes) + 1):
        for axes in combinations(config.mirror_axes, count):
            logits = sliding_window_inference(
                image.flip([axis + 1 for axis in axes])[None],
                config.patch_size,
                config.batch_size,
                (lambda windows: network(windows[..., 0])[..., None]) if is_2d else network,
                overlap=config.overlap,
                mode="gaussian",
            )
            assert isinstance(logits, Tensor)
            found.append(logits[0].softmax(dim=0).flip([axis + 1 for axis in axes]))
    return torch.stack(found).mean(dim=0)


def whole_mask(probabilities: Tensor, grid: Geometry, native: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """The most probable class on the native grid, and where two classes are within rounding of each other."""
    restored = resample_linear(probabilities, grid, native)
    first, second = restored.topk(2, dim=0).values
    return restored.argmax(dim=0).numpy(), (first - second < 1e-4).numpy()
