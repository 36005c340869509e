"""The Dice that a perfect network would reach on a coarser grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import find_objects

from medseg.cohort import SERIAL, run_cases
from medseg.geometry import Geometry
from medseg.manifest import case_target, read_case, training_target
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.grid import network_grid
from medseg.preprocess.resample import resample_averaged, resample_linear
from medseg.records import Case, Labelmap, Manifest, Mask
from medseg.targets import ExclusiveLabels, LabelMap

_RIM = 8  # voxels around a label, so that the grid's edge does not matter
_FEWEST = 3
_MOST = 12
_MOST_VOXELS = 20_000_000  # of all labels' boxes, before only labels that no case has shown are looked for


@dataclass(frozen=True, slots=True)
class _Piece:
    """One label of one case, cut out with a rim.

    Attributes:
        name: Name of the label.
        mask: Its voxels, `(I, J, K)`.
        native: Grid of the mask.
    """

    name: str
    mask: Mask
    native: Geometry


class GridCeiling:
    """Dice of labels that are taken to a grid and back, without a network in between.

    Each label is taken to the grid as its share of every voxel, which is what a perfect network would give as its
    probability, and restored as a prediction is. Of many or large labels fewer cases are tried, so that a grid costs
    seconds.

    Args:
        cases: Labelled cases to try, the first ones at least; more are read until every label is seen, a dozen at most.
        manifest: Manifest of the cases.
        root: Data root.
    """

    def __init__(self, cases: Sequence[Case], manifest: Manifest, root: Path) -> None:
        self.cases = cases
        self.manifest = manifest
        self.root = root
        self.target = training_target(manifest)
        self._pieces: list[_Piece] | None = None

    def dice(self, config: PreprocessConfig) -> dict[str, float]:
        """Mean Dice of each label over the cases that hold it; labels that none holds are left out."""
        found: dict[str, list[float]] = defaultdict(list)
        for piece in self._cut_out():
            found[piece.name].append(_round_trip_dice(piece.mask, piece.native, config))
        return {name: float(np.mean(found[name])) for name in self.target.structures if name in found}

    def _cut_out(self) -> list[_Piece]:
        """Every label of the cases that can be read, until there is enough of it."""
        if self._pieces is None:
            self._pieces = []
            missing = set(self.target.structures)
            for number, case in enumerate(self.cases[:_MOST]):
                if number >= _FEWEST and not missing:
                    break
                for label, native in run_cases([case], self._read_case, stage="plan", executor=SERIAL).results:
                    is_enough = sum(piece.mask.size for piece in self._pieces) > _MOST_VOXELS
                    wanted = missing if is_enough else set(self.target.structures)
                    self._pieces += _pieces(label, native, self.target, wanted)
                found = {piece.name for piece in self._pieces}
                missing = set(self.target.structures) - found
        return self._pieces

    def _read_case(self, case: Case) -> tuple[Labelmap, Geometry]:
        scan, label = read_case(case, self.manifest, self.root)
        return case_target(case, self.manifest).annotated(label), scan.geometry


def _round_trip_dice(label: Mask, native: Geometry, config: PreprocessConfig) -> float:
    """Dice of one label's voxels against themselves, taken to the grid as shares and restored."""
    grid = network_grid(native, config)
    share = resample_averaged(torch.from_numpy(label.astype(np.float32))[None], native, grid)[0]
    # The larger of two probabilities decides, as where a prediction is restored.
    restored = (resample_linear(share[None], grid, native)[0] > 0.5).numpy()
    return float(2 * (restored & label).sum() / (restored.sum() + label.sum()))


def _pieces(label: Labelmap, native: Geometry, target: LabelMap, wanted: Collection[str]) -> Iterator[_Piece]:
    """The wanted labels or regions that a case holds."""
    for name, box in _boxes(label, target):
        if name not in wanted:
            continue
        grid, cut = native, []
        for axis, part in enumerate(box):
            extent = range(max(0, part.start - _RIM), min(label.shape[axis], part.stop + _RIM))
            grid = grid.cropped(axis, extent)
            cut.append(slice(extent.start, extent.stop))
        yield _Piece(name, target.shows(label[tuple(cut)], name), grid)


def _boxes(label: Labelmap, target: LabelMap) -> Iterator[tuple[str, tuple[slice, ...]]]:
    """Name and bounding box of each label or region that has a voxel."""
    boxes = find_objects(label)
    for name in target.structures:
        if isinstance(target, ExclusiveLabels):
            value = target.labels[name]
            box = boxes[value - 1] if value <= len(boxes) else None
        else:
            box = next(iter(find_objects(target.shows(label, name).astype(np.uint8))), None)
        if box is not None:
            yield name, box
