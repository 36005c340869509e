"""Measure the labels of cases whose manifest does not say how large they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.manifest.case_scans import read_case_label
from medseg.records import Case, Failure, Manifest
from medseg.split.config import Feature


class Measured(NamedTuple):
    """A manifest with the volumes that were measured, and the cases whose label could not be read."""

    manifest: Manifest
    failures: tuple[Failure, ...]


def measure_labels(
    manifest: Manifest,
    root: Path,
    *,
    by: Sequence[Feature],
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Measured:
    """Fill in `label_ml` wherever a case has a label but not its volume; a label that cannot be read stops nobody else.

    Args:
        manifest: Of segmentation.
        root: The data root.
        by: What will be shared out; nothing is read where that is neither labels nor volumes.
        executor: Where the work runs.
        on_done: Called with the case id after each case, from this thread.
    """
    measure = partial(_volumes_ml, manifest=manifest, root=root)
    done = run_cases(cases_to_measure(manifest, by), measure, stage="split", executor=executor, on_done=on_done)
    found = done.by_id()
    cases = tuple(
        case.model_copy(update={"label_ml": found[case.case_id]}) if case.case_id in found else case
        for case in manifest.cases
    )
    return Measured(manifest.model_copy(update={"cases": cases}), done.failures)


def cases_to_measure(manifest: Manifest, by: Sequence[Feature]) -> tuple[Case, ...]:
    """The cases whose label files `measure_labels` will read."""
    if manifest.task != "segmentation" or not {"label", "volume"} & set(by):
        return ()
    return tuple(case for case in manifest.cases if case.label is not None and case.label_ml is None)


def _volumes_ml(case: Case, manifest: Manifest, root: Path) -> dict[str, float]:
    """Millilitres of each foreground label that the case has, to six digits."""
    label, geometry = read_case_label(case, manifest, root)
    voxels = np.zeros(max(manifest.labels.values()) + 1, dtype=np.int64)
    for k in range(label.shape[2]):  # counting needs eight bytes a voxel, so slice by slice
        voxels += np.bincount(label[:, :, k].ravel(), minlength=len(voxels))
    return {
        name: float(f"{voxels[value] * geometry.voxel_ml:.6g}")
        for name, value in manifest.foreground.items()
        if voxels[value]
    }
