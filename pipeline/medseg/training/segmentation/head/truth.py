"""The truth about the planes of augmented patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from medseg.targets import IGNORED, UNKNOWN, HeadClasses, Regions, VoxelTarget
from medseg.training.segmentation.marginal_loss import Group, open_index

_FAR = 2**15


class BatchTruth:
    """What is known of the planes of patches, or of the patches as a whole, after augmentation.

    A structure that a mask was drawn of is where the patch's own label has it. Of what the manifest lists alone,
    patches that hold a part of a slice or scan know what is absent, but not what is there, since it may lie in another
    part. The background of a case that annotates some labels alone is none of those, and may be one of the others. A
    plane that augmentation has tilted counts where all slices that it crosses agree.

    Args:
        label: Encoded labels `(B, C, I, J, K)`.
        number: Slice of each voxel from 1, and 0 outside of the scan, `(B, 1, I, J, K)`.
        listed: What the manifest lists, `(B, slices, classes)`, or `(B, 1, classes)` of whole scans.
        is_whole: Whether a patch holds whole slices, or the whole scan, `(B,)`.
        has_mask: Whether a patch has a mask, `(B,)`.
        target: Meaning of the label.
        head: Classes.
        groups: Labels that some cases do not annotate, as `open_groups` lists them.
    """

    def __init__(
        self,
        label: Tensor,
        number: Tensor,
        listed: Tensor,
        *,
        is_whole: Tensor,
        has_mask: Tensor,
        target: VoxelTarget,
        head: HeadClasses,
        groups: Sequence[Group] = (),
    ) -> None:
        self._number, self._has_mask = number[:, 0].long(), has_mask
        self._listed = torch.where((listed == 1) & ~is_whole[:, None, None], UNKNOWN, listed.long())
        self._head = head
        self._maps = _structure_maps(label, target, head.classes, groups)

    def of_study(self, sample: int) -> Tensor:
        """Truth of a patch as a whole, `(1, classes)`."""
        drawn = self._drawn(sample, (0, 1, 2)).view(1, -1)
        return torch.where(drawn == UNKNOWN, self._listed[sample], drawn)

    def of_planes(self, sample: int, axis: int) -> Tensor:
        """Truth of a patch's planes along an axis, `(planes, classes)`; unknown of those outside of the scan."""
        across = tuple(other for other in range(3) if other != axis)
        number = self._number[sample]
        last = number.amax(across)
        first = torch.where(number > 0, number, _FAR).amin(across)
        drawn = self._drawn(sample, across)
        truth = torch.where(drawn == UNKNOWN, self._agreed(sample, first, last), drawn)
        return torch.where(last[:, None] > 0, truth, UNKNOWN)

    def _drawn(self, sample: int, axes: Sequence[int]) -> Tensor:
        """Truth by the label, with the classes last; unknown where a voxel is ignored and none shows the class."""
        columns = []
        for shows, ignored in self._maps:
            if shows is None or ignored is None or not bool(self._has_mask[sample]):
                shape = [size for axis, size in enumerate(self._number.shape[1:]) if axis not in axes]
                columns.append(torch.full(shape, UNKNOWN, device=self._number.device))
                continue
            is_open = torch.where(ignored[sample].any(dim=tuple(axes)), UNKNOWN, 0)
            columns.append(torch.where(shows[sample].any(dim=tuple(axes)), 1, is_open))
        return torch.stack(columns, dim=-1)

    def _agreed(self, sample: int, first: Tensor, last: Tensor) -> Tensor:
        """What the manifest lists of the slices from the first to the last that each plane crosses, if they agree."""
        listed = self._listed[sample]
        crossed = (last - first + 1)[:, None]
        is_inside = last[:, None] > 0
        begin, end = first.clamp(1, len(listed)) - 1, last.clamp(0, len(listed))
        counts = [functional.pad((listed == value).cumsum(dim=0), (0, 0, 1, 0)) for value in (0, 1)]
        absent, present = (is_inside & (count[end] - count[begin] == crossed) for count in counts)
        return torch.where(present, 1, torch.where(absent, 0, UNKNOWN))


def _structure_maps(
    label: Tensor, target: VoxelTarget, classes: Sequence[str], groups: Sequence[Group]
) -> list[tuple[Tensor | None, Tensor | None]]:
    """Voxels `(B, I, J, K)` that show each class, and those that may or may not; None of a class that no mask draws."""
    maps: list[tuple[Tensor | None, Tensor | None]] = []
    for name in classes:
        if name not in target.structures:
            maps.append((None, None))
        elif isinstance(target, Regions):
            channel = label[:, target.structures.index(name)]
            maps.append((channel == 1, channel == IGNORED))
        else:
            index, is_open = label[:, 0], label[:, 0] == IGNORED
            for number in (number for number, group in enumerate(groups) if name in group):
                is_open = is_open | (index == open_index(number))
            maps.append((index == _index_of(target, name), is_open))
    return maps


def _index_of(target: VoxelTarget, name: str) -> int:
    """Class index of a label."""
    from medseg.targets import ExclusiveLabels

    if not isinstance(target, ExclusiveLabels):
        raise TypeError(f"a head needs labels or regions, got {target.kind}")
    return target.values.index(target.labels[name])
