"""Cases without a mask teach encoder and head alone, whatever else is in their batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from medseg.geometry import Geometry
from medseg.networks import NetworkConfig
from medseg.networks.segmentation.multitask import MultitaskUNet
from medseg.preprocess.segmentation import StoredCase
from medseg.targets import IGNORED, ExclusiveLabels, LabelMap, Regions
from medseg.training.augment import AugmentConfig
from medseg.training.segmentation import TrainingConfig
from medseg.training.segmentation.head.config import HeadConfig
from medseg.training.segmentation.head.step import multitask_step
from medseg.training.segmentation.loss import SegmentationLoss, loss_for
from medseg.training.segmentation.marginal_loss import open_groups, open_index
from medseg.training.segmentation.patches import PatchDataset
from torch import Tensor

LABELS = ExclusiveLabels(labels={"background": 0, "a": 1, "b": 2})
IGNORING = ExclusiveLabels(labels=LABELS.labels, ignore=9)
REGIONS = Regions(labels=LABELS.labels, regions={"both": (1, 2), "b": (2,)}, order=(1, 2))
HEAD = HeadConfig(level="slice", classes=("a", "b"), weight=1e-9)
SIZE = 8
STILL = AugmentConfig(
    affine_share=0, gamma_share=0, contrast_share=0, brightness=0, noise_share=0, blur_share=0, low_resolution_share=0
)
TURNED = AugmentConfig(affine_share=1, rotation_degrees=45)


def network(target: LabelMap) -> MultitaskUNet:
    torch.manual_seed(3)
    return MultitaskUNet(
        NetworkConfig(
            spatial_dims=3, in_channels=1, out_channels=target.channels, channels=(4, 8),
            strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
            head_classes=2,
        )
    )  # fmt: skip


def batch(target: LabelMap, has_mask: list[bool]) -> dict[str, Tensor]:
    rng = np.random.default_rng(7)
    shape = (SIZE,) * 3
    drawn = [rng.integers(0, 3, shape) if is_drawn else np.zeros(shape, int) for is_drawn in has_mask]
    label = torch.stack([target.encode(one) for one in drawn])  # as if background had been read of the unmasked ones
    image = torch.from_numpy(np.random.default_rng(8).normal(size=(len(has_mask), 1, *shape)).astype(np.float32))
    numbers = torch.arange(1, SIZE + 1, dtype=torch.int16).expand(len(has_mask), 1, *shape).contiguous()
    return {
        "image": image,
        "label": label,
        "number": numbers,
        "listed": torch.full((len(has_mask), SIZE, 2), 1, dtype=torch.int8),
        "axis": torch.tensor([2] * len(has_mask)),
        "is_whole": torch.tensor([True] * len(has_mask)),
        "has_mask": torch.tensor(has_mask),
    }


def gradients(target: LabelMap, has_mask: list[bool], augment: AugmentConfig, groups: Any = ()) -> dict[str, Tensor]:
    """Gradient of every parameter by one step."""
    trained = network(target)
    config = TrainingConfig(patch_size=(SIZE,) * 3, augment=augment, gradient_clip=1e9)
    step = multitask_step(
        trained, torch.optim.SGD(trained.parameters(), lr=0.0), loss_for(target, groups=groups, is_partial=True),
        config, torch.device("cpu"), head=HEAD, target=target, groups=groups,
    )  # fmt: skip
    engine = Engine(lambda engine, one: None)
    engine.state.iteration = 5
    step(engine, batch(target, has_mask))
    return {name: one.grad for name, one in trained.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("target", [LABELS, IGNORING, REGIONS], ids=["labels", "ignoring", "regions"])
@pytest.mark.parametrize("groups", [(), (("b",),)], ids=["whole", "partly"])
def test_decoder_learns_nothing_of_corners_that_a_turned_patch_without_a_mask_is_filled_with(
    target: LabelMap, groups: Any
) -> None:
    found = gradients(target, [False, False], TURNED, groups)
    decoder = {name: grad for name, grad in found.items() if name.startswith("decoder")}
    assert decoder
    assert all(not grad.any() for grad in decoder.values())
    assert found["head.weight"].any()


@pytest.mark.parametrize("target", [LABELS, IGNORING, REGIONS], ids=["labels", "ignoring", "regions"])
@pytest.mark.parametrize("groups", [(), (("b",),)], ids=["whole", "partly"])
def test_masks_teach_as_much_beside_cases_without_one(target: LabelMap, groups: Any) -> None:
    """Means over voxels are over those that count: two more patches change no gradient of the decoder."""
    alone, beside = (gradients(target, [True, *more], STILL, groups) for more in ([], [False, False]))
    for name, grad in alone.items():
        if name.startswith("decoder"):
            assert torch.allclose(grad, beside[name], atol=1e-6, rtol=1e-4), name


def stored(case_id: str, unannotated: tuple[str, ...]) -> StoredCase:
    grid = Geometry((SIZE,) * 3, np.eye(4))
    return StoredCase(case_id, Path(), grid.shape, grid, grid, {0: SIZE**3}, unannotated=unannotated)


def test_case_without_a_mask_is_no_group_of_open_labels() -> None:
    """Else all masks would go through the slower loss of partly annotated cases."""
    unmasked, partly, whole = stored("u", ("a", "b")), stored("p", ("b",)), stored("w", ())
    assert open_groups([unmasked, whole], LABELS) == ()
    assert open_groups([unmasked, partly, whole], LABELS) == (("b",),)
    loss = loss_for(LABELS, is_partial=True)
    assert isinstance(loss, SegmentationLoss)
    assert loss.is_partial


@pytest.mark.parametrize("target", [LABELS, IGNORING, REGIONS], ids=["labels", "ignoring", "regions"])
def test_no_voxel_of_a_case_without_a_mask_counts(target: LabelMap) -> None:
    unmasked = stored("u", tuple(target.structures))
    config = TrainingConfig(patch_size=(SIZE,) * 3)
    patches = PatchDataset([unmasked, stored("p", ("b",))], config, target=target)
    nothing = np.zeros((SIZE,) * 3, np.uint8)
    assert patches._encoded(unmasked, nothing).unique().tolist() == [IGNORED]
    if isinstance(target, ExclusiveLabels):
        assert patches._encoded(patches.cases[1], nothing).unique().tolist() == [open_index(0)]
