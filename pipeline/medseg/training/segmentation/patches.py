"""Training patches from the store, each determined by the seed and its number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medseg.preprocess.segmentation import StoredCase
from medseg.preprocess.store import damaged_entry
from medseg.records import Array
from medseg.targets import IGNORED, ExclusiveLabels, VoxelTarget
from medseg.training.segmentation.coarse import coarse_image, coarse_label
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.kept_scans import KeptScans
from medseg.training.segmentation.marginal_loss import open_groups, open_index
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.replay import Replay, Turns


class PatchDataset:
    """Endless, reproducible sequence of patches, in which every case comes equally often per epoch.

    Additional patches of rare labels, if the settings ask for some, are mixed into each epoch; they come from cases
    that hold the label, or from any where none does. Where a case has voxels that nobody has annotated, every patch
    holds an annotated one. Where the settings sample raters, the label of a patch is that of one rater of its case,
    each as likely; seed and number of the patch decide which one.

    Args:
        cases: Prepared cases.
        config: Patch size, foreground share, seed.
        target: Meaning of the label.
        factor: Voxels of the grid that make one of a patch along each axis.
        kept: Scans that are held in memory; every patch is read from the store if not given.
        replay: Cases that are new in a training that continues an earlier run, and their share of the patches; every
            case comes equally often if not given.
    """

    def __init__(
        self,
        cases: Sequence[StoredCase],
        config: TrainingConfig,
        *,
        target: VoxelTarget,
        factor: Sequence[int] = (1, 1, 1),
        kept: KeptScans | None = None,
        replay: Replay | None = None,
    ) -> None:
        self.cases = cases
        self.config = config
        self.target = target
        self._kept = kept
        self._factor = tuple(factor)
        self._extent = tuple(size * step for size, step in zip(config.patch_size, factor, strict=True))
        self._own = len(cases) * config.patches_per_case
        self._turns = Turns([case.case_id for case in cases], replay, places=self._own) if replay else None
        self._extra = [name for name, count in config.extra_patches.items() for _ in range(count)]
        self._holders = {name: self._cases_with(name) for name in config.extra_patches}
        self._groups = open_groups(cases, target)
        self._readings = [self._readings_of(case) for case in cases]
        self._foreground: dict[tuple[int, int | None], dict[int, Array]] = {}
        self._last_order: tuple[int, Array] = (-1, np.empty(0))

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Patch `index` of the sequence: image `(C, I, J, K)` float32, label as the target encodes it.

        Raises:
            ScanError: If the store's arrays cannot be read.
        """
        epoch_size = self._own + len(self._extra)
        epoch, position = divmod(index, epoch_size)
        place = int(self._order(epoch, epoch_size)[position])
        rng = np.random.default_rng([self.config.seed, 2, index])
        name = self._extra[place - self._own] if place >= self._own else None
        number = self._case_at(epoch, place) if name is None else int(rng.choice(self._holders[name]))
        case = self.cases[number]
        if readings := self._readings[number]:
            case = readings[int(rng.integers(len(readings)))]
        try:
            start = self._start(number, case, rng, name)
            pixels, drawn = self._kept.arrays(case) if self._kept else (case.image(), case.label())
            image = torch.from_numpy(crop(pixels, start, self._extent).astype(np.float32))
            label = self._encoded(case, crop(drawn, start, self._extent))
            beside = self.beside(number, start)
        except (OSError, RuntimeError, ValueError) as error:
            raise damaged_entry(case.folder, error, case_id=case.case_id) from error
        if max(self._factor) > 1:
            image, label = coarse_image(image, self._factor), coarse_label(label, self._factor)
        return {"image": image, "label": label, **beside}

    def beside(self, number: int, start: Sequence[int]) -> dict[str, Tensor]:
        """What else a patch of a case takes with it; nothing, unless a training adds to it.

        Args:
            number: Number of the case.
            start: First voxel of the patch on the case's grid.
        """
        return {}

    def _encoded(self, case: StoredCase, part: Array) -> Tensor:
        """Reference of a patch; of what the case does not annotate it says nothing.

        Regions that it does not annotate do not count, and its background may be one of the other labels. Of a case
        without a mask no voxel counts.
        """
        label = self.target.encode(part)
        if case.unannotated and not has_mask(case, self.target):
            label[:] = IGNORED
        elif case.unannotated and isinstance(self.target, ExclusiveLabels):
            label[label == 0] = open_index(self._groups.index(case.unannotated))
        elif case.unannotated:
            label[[self.target.structures.index(name) for name in case.unannotated]] = IGNORED
        return label

    def _case_at(self, epoch: int, place: int) -> int:
        """Number of the case at a place of an epoch that is no additional one."""
        return self._turns.case_at(epoch, place) if self._turns else place % len(self.cases)

    def _cases_with(self, name: str) -> list[int]:
        """Numbers of the cases that hold a label; of all cases if none does."""
        found = [
            number
            for number, case in enumerate(self.cases)
            if any(voxels and self._shows(value, name) for value, voxels in case.voxels.items())
        ]
        return found or list(range(len(self.cases)))

    def _shows(self, value: int, name: str) -> bool:
        return bool(self.target.shows(np.array([value]), name).any())

    def _start(self, number: int, case: StoredCase, rng: np.random.Generator, name: str | None) -> tuple[int, ...]:
        """First voxel of the patch; negative where the scan is smaller and is padded on both sides."""
        is_centred = name is not None or rng.random() < self.config.foreground_share
        centre = self._foreground_voxel(number, case, rng, name) if is_centred else None
        if centre is None and self._is_partial(case):
            centre = self._annotated_voxel(number, case, rng)
        start = []
        for axis, (size, wanted) in enumerate(zip(case.shape, self._extent, strict=True)):
            if size <= wanted:
                start.append(-((wanted - size) // 2))
            elif centre is None:
                start.append(int(rng.integers(0, size - wanted + 1)))
            else:
                start.append(int(np.clip(centre[axis] - wanted // 2, 0, size - wanted)))
        return tuple(start)

    def _foreground_voxel(
        self, number: int, case: StoredCase, rng: np.random.Generator, name: str | None
    ) -> Array | None:
        """A voxel of the named label, or of one that is present, each equally likely; None where there is none."""
        by_label = [
            voxels
            for value, voxels in self._samples(number, case).items()
            if value and (name is None or self._shows(value, name))
        ]
        if not by_label:
            return None
        chosen: Array = rng.choice(by_label[int(rng.integers(len(by_label)))])
        return chosen

    def _readings_of(self, case: StoredCase) -> list[StoredCase]:
        """The case as each rater who annotated a voxel has read it; none where the settings do not sample them."""
        count = len(case.readings) if self.config.raters == "sampled" else 0
        found = [case.as_read_by(number) for number in range(count)]
        return [one for one in found if not all(self._is_ignored(value) for value in one.voxels)]

    def _is_partial(self, case: StoredCase) -> bool:
        """Whether the case has voxels that nobody has annotated."""
        return self.target.ignored(np.zeros(1)) is not None and any(
            voxels and self._is_ignored(value) for value, voxels in case.voxels.items()
        )

    def _is_ignored(self, value: int) -> bool:
        ignored = self.target.ignored(np.array([value]))
        return ignored is not None and bool(ignored.any())

    def _annotated_voxel(self, number: int, case: StoredCase, rng: np.random.Generator) -> Array | None:
        """An annotated voxel, of the background too, each about equally likely; None where the case has none."""
        samples, counts = self._samples(number, case), case.voxels
        if not samples:
            return None
        weights = np.array([counts[value] for value in samples], np.float64)
        value = list(samples)[int(rng.choice(len(weights), p=weights / weights.sum()))]
        chosen: Array = rng.choice(samples[value])
        return chosen

    def _samples(self, number: int, case: StoredCase) -> dict[int, Array]:
        """Sampled voxels of a case, or of what one of its raters drew, by their label."""
        key = number, case.reading
        if key not in self._foreground:
            voxels = case.foreground()
            self._foreground[key] = {int(value): voxels[voxels[:, 0] == value, 1:] for value in np.unique(voxels[:, 0])}
        return self._foreground[key]

    def _order(self, epoch: int, size: int) -> Array:
        """The order of an epoch's patches; the last one is remembered."""
        known, order = self._last_order
        if known != epoch:
            order = np.random.default_rng([self.config.seed, 1, epoch]).permutation(size)
            self._last_order = (epoch, order)
        return order


def crop(array: object, start: Sequence[int], size: Sequence[int], *, fill: float = 0) -> Array:
    """Cut a box from the last three axes, with zeros, or another number, where it reaches beyond the array."""
    shape = array.shape  # type: ignore[attr-defined]  # a stored array
    spatial = shape[-3:]
    leading = (slice(None),) * (len(shape) - 3)
    inside = tuple(slice(max(s, 0), min(s + n, full)) for s, n, full in zip(start, size, spatial, strict=True))
    voxels = np.asarray(array[(*leading, *inside)])  # type: ignore[index]  # as above
    if voxels.shape[-3:] == tuple(size):
        return voxels
    padded = np.full((*voxels.shape[:-3], *size), fill, voxels.dtype)
    first = [max(-s, 0) for s in start]
    i, j, k = (slice(s, s + n) for s, n in zip(first, voxels.shape[-3:], strict=True))
    padded[..., i, j, k] = voxels
    return padded
