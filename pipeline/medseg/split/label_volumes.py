"""Measurement of label volumes that the manifest does not give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.manifest import case_target
from medseg.manifest.case_scans import read_case_label
from medseg.records import Case, Failure, Manifest
from medseg.split.config import Feature


class Measured(NamedTuple):
    """A manifest with measured volumes, and the cases with a label that could not be read."""

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
    """Fill in `label_ml` of cases with a label but no volume; one that cannot be read does not stop the others.

    Args:
        manifest: Manifest of any task; labels are read for segmentation only.
        root: Data root.
        by: Features that will be balanced; no label is read without `label` or `volume` among them.
        executor: Executor that the work runs on.
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
    """The cases with a label file that `measure_labels` will read."""
    if manifest.task != "segmentation" or not {"label", "volume"} & set(by):
        return ()
    return tuple(case for case in manifest.cases if case.has_reference and case.label_ml is None)


def _volumes_ml(case: Case, manifest: Manifest, root: Path) -> dict[str, float]:
    """Volume in millilitres of each foreground label, or region, of the case, to six digits."""
    label, geometry = read_case_label(case, manifest, root)
    label = case_target(case, manifest).annotated(label)
    voxels = np.zeros(max(manifest.labels.values()) + 1, dtype=np.int64)
    for k in range(label.shape[2]):  # slice by slice, since counting needs eight bytes a voxel
        voxels += np.bincount(label[:, :, k].ravel(), minlength=len(voxels))
    parts = manifest.regions or {name: (value,) for name, value in manifest.foreground.items()}
    counts = {name: voxels[list(values)].sum() for name, values in parts.items()}
    return {name: float(f"{count * geometry.voxel_ml:.6g}") for name, count in counts.items() if count}
