"""Training patches of images and quantities, each determined by the seed and its number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medseg.preprocess.regression import StoredValues
from medseg.preprocess.store import damaged_entry
from medseg.records import Array
from medseg.targets import Quantities
from medseg.training.regression.config import RegressionTrainingConfig
from medseg.training.segmentation.patches import crop


class ValuePatches:
    """Endless, reproducible sequence of patches, in which every case comes equally often per epoch.

    Every patch holds a voxel of which a quantity is known.

    Args:
        cases: Prepared cases.
        config: Patch size, share of unusual voxels, seed.
        target: Quantities, with the numbers that the network learns.
    """

    def __init__(self, cases: Sequence[StoredValues], config: RegressionTrainingConfig, *, target: Quantities) -> None:
        self.cases = cases
        self.config = config
        self.target = target
        self._size = len(cases) * config.patches_per_case
        self._centres: dict[int, tuple[Array, Array]] = {}
        self._last_order: tuple[int, Array] = (-1, np.empty(0))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Patch `index`: `image` `(C, I, J, K)` and `label`, the values as the network learns them, NaN if not known.

        Raises:
            ScanError: If the store's arrays cannot be read.
        """
        epoch, position = divmod(index, self._size)
        number = int(self._order(epoch)[position]) % len(self.cases)
        rng = np.random.default_rng([self.config.seed, 2, index])
        case = self.cases[number]
        try:
            start = self._start(number, rng)
            image = crop(case.image(), start, self.config.patch_size)
            values = crop(case.values(), start, self.config.patch_size, fill=np.nan)
        except (OSError, RuntimeError, ValueError) as error:
            raise damaged_entry(case.folder, error, case_id=case.case_id) from error
        return {"image": torch.from_numpy(image.astype(np.float32)), "label": self.target.encode(values)}

    def _start(self, number: int, rng: np.random.Generator) -> tuple[int, ...]:
        """First voxel of the patch; negative where the scan is smaller and is padded on both sides."""
        usual, unusual = self._centres_of(number)
        is_unusual = rng.random() < self.config.unusual_share and len(unusual) > 0
        centres = unusual if is_unusual else usual
        # Anywhere in the patch, or what lies at the edges of scans and regions would be seen less often.
        centre, places = centres[int(rng.integers(len(centres)))], rng.random(3)
        start = []
        for at, place, size, wanted in zip(
            centre, places, self.cases[number].shape, self.config.patch_size, strict=True
        ):
            if size <= wanted:
                start.append(-((wanted - size) // 2))
            else:
                start.append(int(np.clip(at - int(place * wanted), 0, size - wanted)))
        return tuple(start)

    def _centres_of(self, number: int) -> tuple[Array, Array]:
        """Sampled voxels of a case that are known, and those with unusual values."""
        if number not in self._centres:
            found = self.cases[number].centres()
            self._centres[number] = found[found[:, 0] == 0, 1:], found[found[:, 0] == 1, 1:]
        return self._centres[number]

    def _order(self, epoch: int) -> Array:
        """The order of an epoch's patches; the last one is remembered."""
        known, order = self._last_order
        if known != epoch:
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(self._size)
            self._last_order = (epoch, order)
        return order
