"""Training slices, or studies of slices, each determined by the seed and its number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from medseg.preprocess.classification import StoredSlices, with_context
from medseg.preprocess.classification.targets import SliceTargets
from medseg.records import Array
from medseg.training.classification.config import SliceTrainingConfig


class SliceSamples:
    """Endless, reproducible sequence of slices, in which every slice with a known class comes once per epoch.

    Args:
        cases: Prepared cases.
        targets: Truth by case id.
        config: Batch size and seed.
        context: Neighbouring slices on either side.
    """

    def __init__(
        self,
        cases: Sequence[StoredSlices],
        targets: Mapping[str, SliceTargets],
        config: SliceTrainingConfig,
        *,
        context: int,
    ) -> None:
        self.cases = cases
        self.targets = targets
        self.config = config
        self.context = context
        known = [np.flatnonzero((targets[case.case_id].slices >= 0).any(axis=1)) for case in cases]
        self.places = [(number, int(index)) for number, rows in enumerate(known) for index in rows]

    def __len__(self) -> int:
        """Number of slices in an epoch."""
        return len(self.places)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`: image `(C', I, J)` float32, target `(classes,)` of 1, 0 and -1.

        Raises:
            ScanError: If the store's arrays cannot be read.
        """
        epoch, position = divmod(index, len(self.places))
        order = _order(self.config.seed, epoch, len(self.places))
        number, wanted = self.places[int(order[position])]
        case = self.cases[number]
        target = self.targets[case.case_id].slices[wanted]
        return {"image": _picture(case, wanted, self.context), "target": torch.from_numpy(target.copy())}


class StudySamples:
    """Endless, reproducible sequence of studies: slices spread over the whole study, one from each of equal parts.

    Args:
        cases: Prepared cases; only those with a known class of the study are used.
        targets: Truth by case id.
        config: Slices per study, batch size and seed.
        context: Neighbouring slices on either side.
    """

    def __init__(
        self,
        cases: Sequence[StoredSlices],
        targets: Mapping[str, SliceTargets],
        config: SliceTrainingConfig,
        *,
        context: int,
    ) -> None:
        self.cases = [case for case in cases if (targets[case.case_id].study >= 0).any()]
        self.targets = targets
        self.config = config
        self.context = context

    def __len__(self) -> int:
        """Number of studies in an epoch."""
        return len(self.cases)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`: images `(slices, C', I, J)` float32, target `(classes,)`.

        Raises:
            ScanError: If the store's arrays cannot be read.
        """
        epoch, position = divmod(index, len(self.cases))
        case = self.cases[int(_order(self.config.seed, epoch, len(self.cases))[position])]
        rng = np.random.default_rng([self.config.seed, 4, index])
        count = self.config.slices_per_study
        wanted = ((np.arange(count) + rng.random(count)) * len(case) / count).astype(np.int64)
        pictures = [_picture(case, int(n), self.context) for n in wanted]
        target = self.targets[case.case_id].study
        return {"image": torch.stack(pictures), "target": torch.from_numpy(target.copy())}


def steps_per_epoch(samples: int, config: SliceTrainingConfig) -> int:
    """Steps in which every sample is shown once, at most `longest_epoch`."""
    return max(1, min(config.longest_epoch, math.ceil(samples / config.batch_size)))


def _order(seed: int, epoch: int, count: int) -> Array:
    return np.random.default_rng([seed, 3, epoch]).permutation(count)


def _picture(case: StoredSlices, index: int, context: int) -> Tensor:
    """One slice with its neighbours; only the needed slices are read."""
    low, high = max(index - context, 0), min(index + context + 1, len(case))
    return with_context(case.read(low, high), index - low, context)
