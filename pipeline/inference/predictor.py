"""One loaded network, for as many scans as come."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Self

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from pipeline.inference.config import InferenceConfig
from pipeline.inference.model_card import ModelCard, load_card
from pipeline.inference.weights import load_weights
from pipeline.networks import UNet
from pipeline.networks.precision import PrecisionKind, autocast, memory_format, to_device
from pipeline.preprocess import preprocess_scan, restore_mask
from pipeline.records import Labelmap, Scan


class Predictor:
    """Draws masks on the grid of the scans that it is given.

    Args:
        network: Trained; is put into evaluation mode.
        card: What belongs to its weights.
        device: Where it runs.
        precision: Number format.
    """

    def __init__(
        self, network: nn.Module, card: ModelCard, *, device: torch.device, precision: PrecisionKind = "auto"
    ) -> None:
        self.card = card
        self.device = device
        self.precision = precision
        self.network = to_device(network, device, spatial_dims=card.network.spatial_dims).eval()

    @classmethod
    def load(
        cls, folder: Path, *, weights: str = "last", device: torch.device, precision: PrecisionKind = "auto"
    ) -> Self:
        """Load `folder/model.json` and `folder/<weights>.safetensors`.

        Raises:
            CheckpointError: If either is missing, damaged or does not fit the other.
        """
        card = load_card(folder)
        network = UNet(card.network)
        load_weights(network, folder / f"{weights}.safetensors")
        return cls(network, card, device=device, precision=precision)

    def mask(self, scan: Scan) -> Labelmap:
        """Label values on the scan's own grid, shape `(I, J, K)`."""
        image, grid, _ = preprocess_scan(scan, self.card.preprocess)
        probabilities = self.probabilities(image)
        return restore_mask(probabilities, grid, scan.geometry, values=self.card.values)

    def probabilities(self, image: Tensor) -> Tensor:
        """Class probabilities on the network's grid.

        Args:
            image: Preprocessed, `(C, I, J, K)`.

        Returns:
            `(classes, I, J, K)`, float32.
        """
        return whole_volume_probabilities(
            self.network, image, self.card.inference, device=self.device, precision=self.precision
        )


@torch.inference_mode()
def whole_volume_probabilities(
    network: nn.Module,
    image: Tensor,
    config: InferenceConfig,
    *,
    device: torch.device,
    precision: PrecisionKind = "auto",
) -> Tensor:
    """Slide a network over a volume and average the flipped copies' probabilities.

    Args:
        network: In evaluation mode, on `device`.
        image: Preprocessed, `(C, I, J, K)`.
        config: Windows and flips.
        device: Where the network is.
        precision: Number format.

    Returns:
        `(classes, I, J, K)`, float32, on `device`.
    """
    is_2d = config.patch_size[2] == 1

    def window_logits(windows: Tensor) -> Tensor:
        windows = windows.to(memory_format=memory_format(3))
        with autocast(device, precision):
            logits: Tensor = network(windows[..., 0])[..., None] if is_2d else network(windows)
        return logits.float()

    batch = image[None].float().to(device)  # (1, C, I, J, K)
    flips = [axes for count in range(len(config.mirror_axes) + 1) for axes in combinations(config.mirror_axes, count)]
    total: Tensor | None = None
    for axes in flips:
        flipped_axes = [axis + 2 for axis in axes]
        logits = sliding_window_inference(
            batch.flip(flipped_axes),
            config.patch_size,
            config.batch_size,
            window_logits,
            overlap=config.overlap,
            mode="gaussian",
        )
        if not isinstance(logits, Tensor):
            raise TypeError("a network must return one tensor of logits")
        probabilities = logits.softmax(dim=1).flip(flipped_axes)
        total = probabilities if total is None else total.add_(probabilities)
    if total is None:
        raise ValueError("at least the unflipped image is predicted")
    return (total / len(flips))[0]
