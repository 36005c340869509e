"""The Dice that a perfect network would reach on a coarser grid."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor
from torch.nn import functional

from medseg.cohort import SERIAL, run_cases
from medseg.evaluation.segmentation.overlap import overlap_metrics
from medseg.geometry import Geometry
from medseg.manifest import read_case
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.grid import network_grid
from medseg.preprocess.resample import resample_labels
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.records import Case, Labelmap, Manifest
from medseg.targets import ExclusiveLabels

_RIM = 8  # voxels around the labels, so that the grid's edge does not matter


class GridCeiling:
    """Dice of labels that are resampled to a grid and restored from it, without a network in between.

    Args:
        cases: Labelled cases to try; few are enough.
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
            for row in overlap_metrics(
                label, self._round_trip(label, native, config), labels=self.target.foreground, case_id=""
            ):
                if row.label_voxels:
                    found[row.label].append(row.values["dice"])
        return {name: float(np.mean(values)) for name, values in found.items()}

    def _round_trip(self, label: Labelmap, native: Geometry, config: PreprocessConfig) -> Labelmap:
        """The label on the grid, as probabilities of 0 and 1, restored as a prediction is."""
        grid = network_grid(native, config)
        index = self.target.encode(resample_labels(label, native, grid))[0].long()
        axis = native.axis_maps(grid)[2].source_axis
        planes = (self._one_hot(index.narrow(axis, position, 1)) for position in range(grid.shape[axis]))
        return restore_planes(planes, grid, native, target=self.target, axis=axis)

    def _one_hot(self, index: Tensor) -> Tensor:
        """Channel numbers `(I, J, K)` as probabilities `(C, I, J, K)`."""
        return functional.one_hot(index, self.target.channels).permute(3, 0, 1, 2).float()

    def _read(self) -> Sequence[tuple[Labelmap, Geometry]]:
        """Labels and grids of the cases that can be read, cut to what is labelled."""
        if self._labels is None:
            self._labels = run_cases(self.cases, self._read_case, stage="plan", executor=SERIAL).results
        return self._labels

    def _read_case(self, case: Case) -> tuple[Labelmap, Geometry]:
        scan, label = read_case(case, self.manifest, self.root)
        return _cut(label, scan.geometry)


def _cut(label: Labelmap, grid: Geometry) -> tuple[Labelmap, Geometry]:
    """The part of a label map that holds labels, with a rim."""
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(label.any(axis=others))
        if len(filled) == 0:
            break
        extent = range(max(0, int(filled[0]) - _RIM), min(label.shape[axis], int(filled[-1]) + 1 + _RIM))
        label = label.take(extent, axis=axis)
        grid = grid.cropped(axis, extent)
    return label, grid
