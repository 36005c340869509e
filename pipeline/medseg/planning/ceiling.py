"""The Dice that a perfect network would reach on a coarser grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from medseg.cohort import SERIAL, run_cases
from medseg.geometry import Geometry
from medseg.manifest import read_case
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.grid import network_grid
from medseg.preprocess.resample import resample_averaged
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.records import Case, Labelmap, Manifest
from medseg.targets import ExclusiveLabels

_RIM = 8  # voxels around a label, so that the grid's edge does not matter
_FEWEST = 3
_MOST = 12
_ONE_LABEL = ExclusiveLabels(labels={"background": 0, "label": 1})


class GridCeiling:
    """Dice of labels that are taken to a grid and back, without a network in between.

    Each label is taken to the grid as its share of every voxel, which is what a perfect network would give as its
    probability, and restored as a prediction is.

    Args:
        cases: Labelled cases to try, the first ones at least; more are read until every label is seen, a dozen at most.
        manifest: Manifest of the cases.
        root: Data root.
    """

    def __init__(self, cases: Sequence[Case], manifest: Manifest, root: Path) -> None:
        self.cases = cases
        self.manifest = manifest
        self.root = root
        self.target = ExclusiveLabels(labels=manifest.labels)
        self._labels: Sequence[tuple[Labelmap, Geometry]] | None = None

    def dice(self, config: PreprocessConfig) -> dict[str, float]:
        """Mean Dice of each label over the cases that hold it; labels that none holds are left out."""
        found: dict[str, list[float]] = defaultdict(list)
        for label, native in self._read():
            present = set(np.unique(label).tolist())
            for name, value in self.target.foreground.items():
                if value in present:
                    found[name].append(_round_trip_dice(*_cut(label == value, native), config))
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _read(self) -> Sequence[tuple[Labelmap, Geometry]]:
        """Labels and grids of the cases that can be read."""
        if self._labels is None:
            found = list(run_cases(self.cases[:_FEWEST], self._read_case, stage="plan", executor=SERIAL).results)
            for case in self.cases[_FEWEST:_MOST]:
                if set(self.target.foreground.values()) <= {int(v) for label, _ in found for v in np.unique(label)}:
                    break
                found += run_cases([case], self._read_case, stage="plan", executor=SERIAL).results
            self._labels = found
        return self._labels

    def _read_case(self, case: Case) -> tuple[Labelmap, Geometry]:
        scan, label = read_case(case, self.manifest, self.root)
        return label, scan.geometry


def _round_trip_dice(label: Labelmap, native: Geometry, config: PreprocessConfig) -> float:
    """Dice of one label's voxels against themselves, taken to the grid as shares and restored."""
    grid = network_grid(native, config)
    share = resample_averaged(torch.from_numpy(label.astype(np.float32))[None], native, grid)[0]
    axis = native.axis_maps(grid)[2].source_axis
    planes = (_as_probabilities(share.narrow(axis, position, 1)) for position in range(grid.shape[axis]))
    restored = restore_planes(planes, grid, native, target=_ONE_LABEL, axis=axis) > 0
    return float(2 * (restored & (label > 0)).sum() / (restored.sum() + (label > 0).sum()))


def _as_probabilities(share: Tensor) -> Tensor:
    """Shares `(I, J, K)` as probabilities of background and label `(2, I, J, K)`."""
    return torch.stack([1 - share, share])


def _cut(label: Labelmap, grid: Geometry) -> tuple[Labelmap, Geometry]:
    """The part of a label map that holds labels, with a rim."""
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(label.any(axis=others))
        extent = range(max(0, int(filled[0]) - _RIM), min(label.shape[axis], int(filled[-1]) + 1 + _RIM))
        label = label.take(extent, axis=axis)
        grid = grid.cropped(axis, extent)
    return label, grid
