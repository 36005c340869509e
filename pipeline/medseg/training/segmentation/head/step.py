"""The step of a network with a head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.inference.segmentation.head.sums import plane_logits
from medseg.networks.precision import autocast, memory_format
from medseg.networks.segmentation.multitask import MultitaskUNet, pooled
from medseg.targets import IGNORED, HeadClasses, VoxelTarget
from medseg.training.augment import augment_batch
from medseg.training.batches import Batch
from medseg.training.classification.loss import ClassLoss
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.head.config import HeadConfig
from medseg.training.segmentation.head.truth import BatchTruth
from medseg.training.segmentation.marginal_loss import Group
from medseg.training.step import make_step
from medseg.training.task import Step


def multitask_step(
    network: MultitaskUNet,
    optimiser: Optimizer,
    loss: nn.Module,
    config: TrainingConfig,
    device: torch.device,
    *,
    head: HeadConfig,
    target: VoxelTarget,
    groups: Sequence[Group] = (),
) -> Step:
    """Build the step on augmented patches: the loss of masks where there are masks, and that of the head's classes.

    Args:
        network: Network on the device.
        optimiser: Optimiser of its parameters.
        loss: Loss of the masks, called with the scales' logits and the label.
        config: Augmentation, seed, number format and clipping.
        device: Device of the network.
        head: Classes of the head, and the rule by which losses are added.
        target: Meaning of the label.
        groups: Labels that some cases do not annotate, as `open_groups` lists them.
    """
    spatial_dims = network.config.spatial_dims
    layout = memory_format(spatial_dims, device)
    of_classes = ClassLoss("multilabel", torch.ones(len(head.classes)).numpy()).to(device)

    def loss_of(batch: Batch, seed: int) -> Tensor:
        kind = batch["label"].dtype
        both = torch.cat([batch["label"].to(torch.int16), batch["number"]], dim=1)
        image, both = augment_batch(batch["image"], both, config.augment, seed=seed)
        label, number = both[:, :-1].to(kind), both[:, -1:]
        has_mask = batch["has_mask"].view(-1, 1, 1, 1, 1)
        label = torch.where(has_mask, label, IGNORED)  # augmentation fills corners with background
        flat = (image, label) if spatial_dims == 3 else (image[..., 0], label[..., 0])
        with autocast(device, config.precision):
            scales, evidence = network.with_evidence(flat[0].contiguous(memory_format=layout))
        truth = BatchTruth(
            label,
            number,
            batch["listed"],
            is_whole=batch["is_whole"],
            has_mask=batch["has_mask"],
            target=target,
            head=head.target,
            groups=groups,
        )
        evidence = evidence if spatial_dims == 3 else evidence[..., None]
        logits, wanted = head_rows(evidence, truth, batch["axis"].tolist(), image.shape[2:], head.target)
        mask_loss = loss(scales, flat[1])
        head_loss = of_classes(logits, wanted)
        return weighted(
            network,
            head,
            mask_loss,
            head_loss,
            has_mask=bool(batch["has_mask"].any()),
            has_classes=bool((wanted >= 0).any()),
        )

    return make_step(network, optimiser, config, device, loss_of=loss_of)


def head_rows(
    evidence: Tensor, truth: BatchTruth, axes: list[int], size: torch.Size, head: HeadClasses
) -> tuple[Tensor, Tensor]:
    """Logits and truth of all planes of a batch, or of its patches as wholes, `(rows, classes)` each.

    Args:
        evidence: Evidence `(B, classes, i, j, k)`.
        truth: Truth of the batch.
        axes: Axis of each sample that its slices follow.
        size: Voxels of a patch.
        head: Classes.
    """
    logits, wanted = [], []
    for sample, axis in enumerate(axes):
        if head.level == "study":
            logits.append(pooled(evidence[sample], (1, 2, 3))[None])
            wanted.append(truth.of_study(sample))
        else:
            logits.append(plane_logits(evidence[sample], axis, size[axis]).T)
            wanted.append(truth.of_planes(sample, axis))
    return torch.cat(logits), torch.cat(wanted)


def weighted(
    network: MultitaskUNet,
    head: HeadConfig,
    mask_loss: Tensor,
    head_loss: Tensor,
    *,
    has_mask: bool,
    has_classes: bool,
) -> Tensor:
    """The sum of both losses by the rule of the head; a task of which a batch knows nothing has no part in it."""
    if head.weighting == "fixed":
        return mask_loss + head.weight * head_loss
    total = torch.zeros_like(mask_loss)
    for is_there, loss, spread in zip(
        (has_mask, has_classes), (mask_loss, head_loss), network.log_variances.unbind(), strict=True
    ):
        total = total + (torch.exp(-spread) * loss + spread / 2 if is_there else 0 * loss)
    return total
