"""The step of a segmentation network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.networks.precision import autocast, memory_format
from medseg.training.augment import augment_batch
from medseg.training.batches import Batch
from medseg.training.ranks import is_alone
from medseg.training.segmentation.compiled import Forward, compiled_forward
from medseg.training.segmentation.config import PatchTrainingConfig
from medseg.training.segmentation.parts import BatchTransform
from medseg.training.share import gathered, own_share
from medseg.training.step import make_step
from medseg.training.task import Step


def training_step(
    network: nn.Module,
    optimiser: Optimizer,
    loss: nn.Module,
    config: PatchTrainingConfig,
    device: torch.device,
    *,
    spatial_dims: int,
    transform: BatchTransform | None = None,
    compiled_channels: int | None = None,
    has_values: bool = False,
) -> Step:
    """Build the step on augmented patches `(B, C, I, J, K)`.

    Args:
        network: Network on the device; its method `scales`, if it has one, gives the logits of all supervised scales.
        optimiser: Optimiser of its parameters.
        loss: Module of the scales' logits and the label.
        config: Augmentation, seed, number format and clipping.
        device: Device of the network.
        spatial_dims: 2 or 3.
        transform: The user's change of batches after augmentation.
        compiled_channels: Channels of the patches for which the forward pass is compiled before the first step; it is
            not compiled if not given.
        has_values: Whether labels are values of quantities, NaN where one is not known.
    """
    layout = memory_format(spatial_dims, device)
    share = own_share(config.batch_size)
    part = None if is_alone() else share
    forward: Forward = getattr(network, "scales", None) or (lambda image: [network(image)])

    def scales_of(image: Tensor, forward: Forward) -> Sequence[Tensor]:
        image = image[..., 0] if spatial_dims == 2 else image
        with autocast(device, config.precision):
            return forward(image.contiguous(memory_format=layout))

    if compiled_channels is not None:
        blank = torch.zeros(share.stop - share.first, compiled_channels, *config.patch_size, device=device)
        network.train()
        forward = compiled_forward(forward, network, partial(scales_of, blank))

    def loss_of(batch: Batch, seed: int) -> Tensor:
        image, label = augment_batch(
            batch["image"], batch["label"], config.augment, seed=seed, share=part, has_values=has_values
        )
        if transform is not None:
            image, label = transform(gathered(image, share), gathered(label, share), seed=seed)
            image, label = (image[share.own], label[share.own]) if part else (image, label)
        value: Tensor = loss(scales_of(image, forward), label[..., 0] if spatial_dims == 2 else label)
        return value

    return make_step(network, optimiser, config, device, loss_of=loss_of)
