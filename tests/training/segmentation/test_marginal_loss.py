"""Labels that only some cases annotate: the loss counts what a case says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from medseg.targets import IGNORED, ExclusiveLabels
from medseg.training.segmentation.loss import SegmentationLoss, loss_for
from medseg.training.segmentation.marginal_loss import MarginalLoss, open_index
from torch import Tensor

TARGET = ExclusiveLabels(labels={"background": 0, "spleen": 7, "liver": 3, "kidney": 9})  # channels by value
NO_SPLEEN, ONLY_LIVER = open_index(0), open_index(1)
GROUPS = (("spleen",), ("spleen", "kidney"))


def logits_of(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def in_line(*indices: int) -> Tensor:
    return torch.tensor(indices, dtype=torch.int16).view(1, 1, -1, 1, 1)


def test_cases_that_annotate_everything_have_the_loss_of_exclusive_labels() -> None:
    label = torch.randint(-1, 4, (2, 1, 4, 4, 4), generator=torch.Generator().manual_seed(1)).to(torch.int16)
    one, other = logits_of(2, 4, 4, 4, 4), logits_of(2, 4, 4, 4, 4)
    first, second = (
        MarginalLoss(TARGET, GROUPS, 1.5)([one], label),
        SegmentationLoss(1.5, is_partial=True)([other], label),
    )
    assert first.item() == pytest.approx(second.item(), rel=1e-5)
    first.backward()
    second.backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)


def test_loss_is_that_of_a_loop_over_voxels() -> None:
    """Channels: background 0, liver 1, spleen 2, kidney 3; an open voxel may be background or what is not annotated."""
    label = in_line(0, 1, 2, NO_SPLEEN, NO_SPLEEN, ONLY_LIVER, IGNORED, 3)
    logits = logits_of(1, 4, 8, 1, 1)
    p = torch.softmax(logits.detach()[0, :, :, 0, 0].double(), 0).numpy()
    sets = {NO_SPLEEN: (0, 2), ONLY_LIVER: (0, 2, 3)}
    entropy, overlap, total = [], np.zeros(4), np.zeros(4)
    for voxel, index in enumerate(label.flatten().tolist()):
        if index == IGNORED:
            continue
        may_be = sets.get(index, (index,))
        entropy.append(-np.log(sum(p[c, voxel] for c in may_be)))
        for c in range(4):
            if index >= 0 or c not in may_be:
                overlap[c] += p[c, voxel] * (index == c)
                total[c] += p[c, voxel] + (index == c)
    dice = (2 * overlap + 1e-5) / (total + 1e-5)
    expected = np.mean(entropy) + 0.7 * (1 - dice[1:].mean())
    assert MarginalLoss(TARGET, GROUPS, 0.7)([logits], label).item() == pytest.approx(expected, rel=1e-5)


def test_open_voxels_push_annotated_labels_away_and_choose_none_of_the_others() -> None:
    logits = torch.zeros(1, 4, 2, 1, 1, requires_grad=True)
    MarginalLoss(TARGET, GROUPS)([logits], in_line(ONLY_LIVER, ONLY_LIVER)).backward()
    assert logits.grad is not None
    background, liver, spleen, kidney = logits.grad[0, :, 0, 0, 0].tolist()
    assert liver > 0
    assert background == pytest.approx(spleen) == pytest.approx(kidney)
    assert background < 0


def test_voxels_of_which_nothing_is_known_have_no_gradient() -> None:
    logits = logits_of(1, 4, 3, 1, 1)
    loss = MarginalLoss(TARGET, GROUPS)([logits], in_line(IGNORED, IGNORED, 1))
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[:, :, :2] == 0).all()
    assert torch.isfinite(logits.grad).all()
    nothing = logits_of(1, 4, 2, 1, 1)
    MarginalLoss(TARGET, GROUPS)([nothing], in_line(IGNORED, IGNORED)).backward()
    assert nothing.grad is not None
    assert (nothing.grad == 0).all()


def test_target_of_partly_annotated_cases_is_trained_by_it_and_any_other_is_not() -> None:
    assert isinstance(loss_for(TARGET, groups=GROUPS), MarginalLoss)
    assert isinstance(loss_for(TARGET), SegmentationLoss)
