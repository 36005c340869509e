"""What is known of the planes of patches."""

from __future__ import annotations

from typing import Any

import torch
from medseg.targets import ExclusiveLabels, HeadClasses, Regions, VoxelTarget
from medseg.training.segmentation.head.truth import BatchTruth
from medseg.training.segmentation.marginal_loss import open_index
from torch import Tensor

LABELS = ExclusiveLabels(labels={"background": 0, "a": 1, "b": 2}, ignore=3)
HEAD = HeadClasses(level="slice", classes=("a", "b", "artefact"))
SLICES = 6


def truth(
    label: Tensor,
    listed: list[list[int]],
    *,
    number: Tensor | None = None,
    is_whole: bool = True,
    has_mask: bool = True,
    target: VoxelTarget = LABELS,
    head: HeadClasses = HEAD,
    groups: tuple[tuple[str, ...], ...] = (),
) -> BatchTruth:
    numbers = torch.arange(1, SLICES + 1).expand(1, 1, 4, 4, SLICES) if number is None else number
    flags: dict[str, Any] = {"is_whole": torch.tensor([is_whole]), "has_mask": torch.tensor([has_mask])}
    return BatchTruth(label, numbers, torch.tensor([listed]), target=target, head=head, groups=groups, **flags)


def empty() -> Tensor:
    return torch.zeros(1, 1, 4, 4, SLICES, dtype=torch.int16)


NOTHING = [[-1, -1, -1]] * SLICES


def test_mask_says_what_its_planes_show_and_the_manifest_the_rest() -> None:
    label = empty()
    label[0, 0, 1, 1, 2], label[0, 0, 1, 2, 3] = 1, 2
    listed = [[0, 1, 1]] * SLICES  # wrong of what the mask shows
    expected = [[0, 0, 1], [0, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert truth(label, listed).of_planes(0, 2).tolist() == expected


def test_ignored_voxels_leave_open_what_is_absent() -> None:
    label = empty()
    label[0, 0, 0, 0, 0], label[0, 0, 0, 0, 1], label[0, 0, 1, 1, 1] = -1, -1, 1
    rows = truth(label, NOTHING).of_planes(0, 2)
    assert rows[:3].tolist() == [[-1, -1, -1], [1, -1, -1], [0, 0, -1]]


def test_part_of_a_slice_knows_what_is_absent_alone() -> None:
    listed = [[1, 0, 1]] * SLICES
    rows = truth(empty(), listed, has_mask=False, is_whole=False).of_planes(0, 2)
    assert rows.tolist() == [[-1, 0, -1]] * SLICES


def test_whole_slices_without_a_mask_are_as_listed() -> None:
    listed = [[n % 2, 0, 1] for n in range(SLICES)]
    assert truth(empty(), listed, has_mask=False).of_planes(0, 2).tolist() == listed


def test_tilted_plane_counts_where_the_slices_that_it_crosses_agree() -> None:
    number = torch.arange(1, SLICES + 1).expand(1, 1, 4, 4, SLICES).clone()
    number[0, 0, 0] = number[0, 0, 0].roll(-1, -1)  # each plane touches the next slice, and the last one the first
    listed = [[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 0]]
    rows = truth(empty(), listed, number=number, has_mask=False).of_planes(0, 2)
    assert rows[:, 0].tolist() == [0, -1, 1, 1, -1, -1]


def test_planes_outside_of_the_scan_are_unknown() -> None:
    number = torch.arange(1, SLICES + 1).expand(1, 1, 4, 4, SLICES).clone()
    number[..., -1] = 0
    rows = truth(empty(), [[0, 0, 0]] * SLICES, number=number).of_planes(0, 2)
    assert rows.tolist() == [[0, 0, 0]] * (SLICES - 1) + [[-1, -1, -1]]


def test_other_axis_has_its_own_planes() -> None:
    label = empty()
    label[0, 0, 2, 1, 1] = 1
    number = torch.arange(1, 5).view(1, 1, 4, 1, 1).expand(1, 1, 4, 4, SLICES)
    assert truth(label, NOTHING[:4], number=number).of_planes(0, 0)[:, 0].tolist() == [0, 0, 1, 0]


def test_study_knows_what_its_patch_shows_and_what_is_listed_of_whole_ones() -> None:
    head = HeadClasses(level="study", classes=("a", "sick"))
    label = empty()
    label[0, 0, 0, 0, 0] = 1
    assert truth(label, [[-1, 1]], head=head).of_study(0).tolist() == [[1, 1]]
    assert truth(label, [[-1, 1]], head=head, is_whole=False).of_study(0).tolist() == [[1, -1]]
    assert truth(empty(), [[0, 0]], head=head, is_whole=False, has_mask=False).of_study(0).tolist() == [[0, 0]]


def test_regions_are_read_from_their_own_channels() -> None:
    regions = Regions(labels={"background": 0, "x": 1, "y": 2}, regions={"whole": (1, 2), "core": (2,)}, order=(1, 2))
    head = HeadClasses(level="slice", classes=("core", "whole"))
    label = torch.zeros(1, 2, 4, 4, SLICES, dtype=torch.int16)
    label[0, 0, :, :, 2:4] = 1
    label[0, 1, 1, 1, 3], label[0, 1, 1, 1, 5] = 1, -1
    rows = truth(label, [[-1, -1]] * SLICES, target=regions, head=head).of_planes(0, 2)
    assert rows.tolist() == [[0, 0], [0, 0], [0, 1], [1, 1], [0, 0], [-1, 0]]


def test_background_of_a_partly_annotated_case_lacks_what_the_case_annotates() -> None:
    """Two hospitals that annotate one label each would otherwise never say where a label is not."""
    label = torch.full((1, 1, 4, 4, SLICES), open_index(1), dtype=torch.int16)  # `b` was not annotated
    label[0, 0, 1, 1, 2] = 1
    rows = truth(label, [[-1, 1, -1], *NOTHING[1:]], groups=(("a",), ("b",))).of_planes(0, 2)
    assert rows.tolist() == [[0, 1, -1], [0, -1, -1], [1, -1, -1], *[[0, -1, -1]] * 3]
    label[0, 0, 0, 0, 0] = -1  # nobody has looked at this voxel
    assert truth(label, NOTHING, groups=(("a",), ("b",))).of_planes(0, 2)[0].tolist() == [-1, -1, -1]
