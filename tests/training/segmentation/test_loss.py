"""The loss against values worked out by hand."""

from __future__ import annotations

import pytest
import torch
from medseg.training.segmentation.loss import RegionLoss, SegmentationLoss
from monai.losses.dice import DiceCELoss, DiceLoss
from torch import Tensor
from torch.nn import functional


def random_case(spatial: tuple[int, ...] = (4, 6, 4), classes: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, *spatial, generator=generator)
    return logits, torch.randint(0, classes, (2, 1, *spatial), generator=generator).to(torch.int16)


def by_hand(logits: Tensor, label: Tensor, *, dice_weight: float = 1.0) -> Tensor:
    """Cross-entropy plus 1 − Dice of each foreground class, its voxels pooled over the batch."""
    classes = logits.shape[1]
    target = label[:, 0].long()
    log_probabilities = logits.double().log_softmax(dim=1)
    entropy = -log_probabilities.gather(1, target[:, None]).mean()
    dice = []
    for value in range(1, classes):
        drawn, truth = log_probabilities.exp()[:, value], (target == value).double()
        dice.append(1 - (2 * (drawn * truth).sum() + 1e-5) / (drawn.sum() + truth.sum() + 1e-5))
    return entropy + dice_weight * torch.stack(dice).mean()


@pytest.mark.parametrize("spatial", [(4, 6, 4), (8, 6)])
@pytest.mark.parametrize("dice_weight", [1.0, 0.0, 2.5])
def test_loss_is_cross_entropy_plus_weighted_batch_dice(spatial: tuple[int, ...], dice_weight: float) -> None:
    logits, label = random_case(spatial)
    found = SegmentationLoss(dice_weight)([logits], label)
    assert float(found) == pytest.approx(float(by_hand(logits, label, dice_weight=dice_weight)), abs=1e-5)


def test_perfect_logits_cost_nearly_nothing() -> None:
    _, label = random_case()
    logits = 30 * functional.one_hot(label[:, 0].long(), 3).movedim(-1, 1).float()
    assert float(SegmentationLoss()([logits], label)) < 1e-4


def test_wrong_logits_cost_more_than_undecided_ones() -> None:
    _, label = random_case()
    right = functional.one_hot(label[:, 0].long(), 3).movedim(-1, 1).float()
    costs = [float(SegmentationLoss()([scale * right], label)) for scale in (-5.0, 0.0, 5.0)]
    assert costs == sorted(costs, reverse=True)


def test_coarser_scales_weigh_half_of_the_one_before() -> None:
    logits, label = random_case((8, 8, 4))
    coarse = torch.randn(2, 3, 4, 4, 2, generator=torch.Generator().manual_seed(1))
    coarser = torch.randn(2, 3, 2, 2, 1, generator=torch.Generator().manual_seed(2))
    # Halving by nearest-exact takes the voxel just past the middle of each pair.
    targets = [label, label[:, :, 1::2, 1::2, 1::2], label[:, :, 2::4, 2::4, 2::4]]
    parts = [by_hand(part, target) for part, target in zip([logits, coarse, coarser], targets, strict=True)]
    expected = (parts[0] + parts[1] / 2 + parts[2] / 4) / 1.75
    assert float(SegmentationLoss()([logits, coarse, coarser], label)) == pytest.approx(float(expected), abs=1e-5)


def test_empty_label_without_any_drawn_voxel_is_no_reason_to_learn() -> None:
    logits = torch.zeros(1, 2, 4, 4, 4)
    logits[:, 0] = 40.0
    logits.requires_grad_()
    loss = SegmentationLoss()([logits], torch.zeros(1, 1, 4, 4, 4, dtype=torch.int16))
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_half_precision_logits_are_judged_in_full_precision() -> None:
    logits, label = random_case()
    half = logits.to(torch.bfloat16)
    found = SegmentationLoss()([half], label)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(by_hand(half.float(), label)), abs=1e-5)


@pytest.mark.parametrize("classes", [2, 3, 8, 9, 119])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("is_empty", [False, True])
def test_value_and_gradient_are_those_of_monai(classes: int, layout: torch.memory_format, is_empty: bool) -> None:
    logits, label = random_case((6, 4, 8), classes)
    logits = (3 * logits).contiguous(memory_format=layout)
    label = label * (0 if is_empty else 1)
    loss = DiceCELoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, lambda_dice=1.5, smooth_nr=1e-5,
        smooth_dr=1e-5,
    )  # fmt: skip
    theirs, ours = (logits.clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    expected, found = loss(theirs, label), SegmentationLoss(1.5)([ours], label)
    (2 * expected).backward()
    (2 * found).backward()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert theirs.grad is not None
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("classes", [3, 12])
def test_gradient_is_that_of_finite_differences(classes: int) -> None:
    logits, label = random_case((3, 2, 2), classes)
    logits.requires_grad_()
    SegmentationLoss(2.0)([logits], label).backward()
    assert logits.grad is not None
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(3))
    ahead, behind = (by_hand(logits.detach() + step * direction, label, dice_weight=2.0) for step in (1e-3, -1e-3))
    assert float((logits.grad * direction).sum()) == pytest.approx(float(ahead - behind) / 2e-3, rel=1e-3)


def with_ignored(label: Tensor) -> tuple[Tensor, Tensor]:
    """The label with two voxels in five ignored, and which voxels count."""
    counted = torch.rand(label.shape, generator=torch.Generator().manual_seed(7)) > 0.4
    return label.masked_fill(~counted, -1), counted


@pytest.mark.parametrize("classes", [3, 12])
def test_ignored_voxels_count_in_neither_part_nor_in_the_gradient(classes: int) -> None:
    logits, label = random_case(classes=classes)
    partial, counted = with_ignored(label)
    found = logits.clone().requires_grad_()
    SegmentationLoss(1.5, is_partial=True)([found], partial).backward()
    kept = counted[:, 0]
    columns = logits.movedim(1, -1)[kept].T[None]  # (1, classes, voxels that count)
    columns = columns.double().clone().requires_grad_()
    expected = by_hand(columns, label[counted].view(1, 1, -1), dice_weight=1.5)
    expected.backward()
    assert found.grad is not None
    assert columns.grad is not None
    loss = SegmentationLoss(1.5, is_partial=True)([logits], partial)
    assert float(loss) == pytest.approx(float(expected.detach()), abs=1e-5)
    torch.testing.assert_close(found.grad.movedim(1, -1)[kept].T[None].double(), columns.grad, atol=1e-6, rtol=1e-4)
    assert not found.grad.movedim(1, -1)[~kept].any()


def test_wrong_labels_of_ignored_voxels_change_nothing() -> None:
    logits, label = random_case()
    partial, counted = with_ignored(label)
    wild = torch.where(counted[:, 0, None], logits, 50 * torch.randn_like(logits))
    loss = SegmentationLoss(is_partial=True)
    assert float(loss([wild], partial)) == pytest.approx(float(loss([logits], partial)), abs=1e-6)


def test_loss_of_labels_without_ignored_voxels_is_that_of_every_voxel() -> None:
    logits, label = random_case()
    assert float(SegmentationLoss(is_partial=True)([logits], label)) == pytest.approx(
        float(SegmentationLoss()([logits], label)), abs=1e-6
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_patch_without_a_voxel_that_counts_is_no_reason_to_learn(channels: int) -> None:
    logits = torch.randn(2, channels + 1, 4, 4, 4, requires_grad=True)
    SegmentationLoss(is_partial=True)([logits], torch.full((2, 1, 4, 4, 4), -1)).backward()
    regions = torch.randn(2, channels, 4, 4, 4, requires_grad=True)
    RegionLoss()([regions], torch.full((2, channels, 4, 4, 4), -1)).backward()
    assert logits.grad is not None
    assert regions.grad is not None
    assert not logits.grad.any()
    assert not regions.grad.any()


def test_loss_of_regions_is_binary_cross_entropy_plus_dice_as_monai_has_them() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 4, 5, 6, generator=generator)
    label = torch.randint(0, 2, (2, 3, 4, 5, 6), generator=generator).to(torch.int16)
    dice = DiceLoss(sigmoid=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5)(logits, label.float())
    entropy = functional.binary_cross_entropy_with_logits(logits, label.float())
    found = RegionLoss(dice_weight=0.7)([logits], label)
    assert float(found) == pytest.approx(float(entropy + 0.7 * dice), abs=1e-5)


def test_ignored_voxels_count_in_no_region() -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 2, 4, 4, 4, generator=generator)
    label = torch.randint(0, 2, (1, 2, 4, 4, 4), generator=generator).to(torch.int16)
    counted = torch.rand(1, 1, 4, 4, 4, generator=generator) > 0.5
    whole = RegionLoss()([logits], label.masked_fill(~counted, -1))
    columns = [array[:, :, counted[0, 0]] for array in (logits, label)]
    assert float(whole) == pytest.approx(float(RegionLoss()([columns[0]], columns[1])), abs=1e-6)
