"""Measure the labels of cases whose manifest does not say how large they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.errors import PipelineError
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
    workers: int = 2,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Measured:
    """Fill in `label_ml` wherever a case has a label but not its volume; a label that cannot be read stops nobody else.

    Args:
        manifest: Of segmentation.
        root: The data root.
        by: What will be shared out; nothing is read where that is neither labels nor volumes.
        workers: Threads.
        on_done: Called with the case id after each case, from this thread.
    """
    found: dict[str, dict[str, float]] = {}
    failures: dict[str, Failure] = {}
    waiting = cases_to_measure(manifest, by)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures: dict[Future[dict[str, float]], str] = {
            pool.submit(_volumes_ml, case, manifest, root): case.case_id for case in waiting
        }
        for future in as_completed(futures):
            case_id = futures[future]
            try:
                found[case_id] = future.result()
            except (PipelineError, MemoryError, RuntimeError) as error:
                failures[case_id] = Failure.of(case_id, "split", error)
            on_done(case_id)
    cases = tuple(
        case.model_copy(update={"label_ml": found[case.case_id]}) if case.case_id in found else case
        for case in manifest.cases
    )
    ordered = tuple(failures[case.case_id] for case in waiting if case.case_id in failures)
    return Measured(manifest.model_copy(update={"cases": cases}), ordered)


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
