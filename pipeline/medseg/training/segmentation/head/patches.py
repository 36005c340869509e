"""Training patches with what is known of the classes of a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medseg.inference.segmentation.head.slice_map import SliceMap
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Array
from medseg.targets import UNKNOWN, HeadClasses, VoxelTarget
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.patches import PatchDataset


class HeadPatches(PatchDataset):
    """Patches that know their slices, so that augmentation can move both together.

    Beside image and label, a patch holds `number` `(1, I, J, K)`, the slice of the scan that each voxel lies on, from
    1, and 0 outside; `listed` `(slices, classes)`, what the manifest lists of them; `axis` that the slices follow;
    `is_whole`, whether the patch holds whole slices (or the whole scan); and `has_mask`.

    Args:
        cases: As for `PatchDataset`, like all other arguments but these.
        config: Patch size, foreground share, seed.
        target: Meaning of the label.
        head: Classes of the head.
        listed: Truth that the manifest lists, by case.
        others: Further arguments of `PatchDataset`.
    """

    def __init__(
        self,
        cases: Sequence[StoredCase],
        config: Any,
        *,
        target: VoxelTarget,
        head: HeadClasses,
        listed: Mapping[str, Array],
        **others: Any,
    ) -> None:
        super().__init__(cases, config, target=target, **others)
        self._head, self._listed = head, listed
        self._rows = max(len(listed[case.case_id]) for case in cases)

    def beside(self, number: int, start: Sequence[int]) -> dict[str, Tensor]:
        """What is known of the slices of a patch."""
        case = self.cases[number]
        along = SliceMap.of(case.native, case.grid)
        listed = self._listed[case.case_id]
        padded = np.full((self._rows, listed.shape[1]), UNKNOWN, np.int8)
        padded[: len(listed)] = listed
        cut = [
            first > 0 or first + size < full for first, size, full in zip(start, self._extent, case.shape, strict=True)
        ]
        across = [axis for axis in range(3) if self._head.level == "study" or axis != along.axis]
        return {
            "number": self._numbers(along, start[along.axis]),
            "listed": torch.from_numpy(padded),
            "axis": torch.tensor(along.axis),
            "is_whole": torch.tensor(not any(cut[axis] for axis in across)),
            "has_mask": torch.tensor(has_mask(case, self.target)),
        }

    def _numbers(self, along: SliceMap, first: int) -> Tensor:
        """Number of the slice that each voxel of a patch lies on, int16 `(1, I, J, K)`."""
        size, factor = self.config.patch_size, self._factor[along.axis]
        places = first + (np.arange(size[along.axis]) + 0.5) * factor - 0.5
        numbers = torch.from_numpy(along.slice_at(places) + 1).to(torch.int16)
        shape = [-1 if axis == along.axis else 1 for axis in range(3)]
        return numbers.view(shape).expand(size)[None].contiguous()
