"""Prepare cases with quantities once, in parallel, into a store keyed by content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.errors import ScanError
from medseg.manifest import read_case_with_quantities
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.entry import PreparedCohort, case_key, open_or_make
from medseg.preprocess.regression.resample import resample_values
from medseg.preprocess.regression.stored_values import (
    STORE_FORMAT,
    StoredValues,
    grid_facts,
    open_values,
    save_values,
)
from medseg.preprocess.scan import preprocess_scan
from medseg.preprocess.segmentation.voxel_digest import image_digest
from medseg.records import Array, Case, Manifest, Mask

CENTRES = 4096  # sampled voxels of each kind
_UNUSUAL_SHARE = 0.1

PreparedValues = PreparedCohort[StoredValues]


def prepare_values(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    config: PreprocessConfig,
    store: Path,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> PreparedValues:
    """Preprocess every case that the store does not hold yet.

    A case's key covers the bytes of its files, the quantities' names and all settings, so a change of any makes a new
    entry. Units do not change what is stored.

    Args:
        cases: Cases to prepare.
        manifest: Manifest of the cases.
        root: Data root.
        config: Grid and intensities.
        store: Folder of the store.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case, from this thread.
    """
    prepare = partial(_prepare_case, manifest=manifest, root=root, config=config, store=store)
    done = run_cases(cases, prepare, stage="prepare", executor=executor, on_done=on_done)
    return PreparedValues(done.results, done.failures)


def _prepare_case(case: Case, manifest: Manifest, root: Path, *, config: PreprocessConfig, store: Path) -> StoredValues:
    names = list(manifest.quantities or {})
    settings = {
        "values_format": STORE_FORMAT,
        "config": config.model_dump(mode="json"),
        "quantities": names,
    }
    files = [path for name in names if (path := (case.quantities or {}).get(name))]
    folder = store / case_key(case, manifest, root, settings, with_label=False, others=files)
    return open_or_make(
        folder,
        lambda: open_values(folder, case_id=case.case_id),
        lambda: _make_entry(folder, case, manifest, root, config),
    )


def _make_entry(folder: Path, case: Case, manifest: Manifest, root: Path, config: PreprocessConfig) -> None:
    scan, native_values = read_case_with_quantities(case, manifest, root)
    image, grid, _ = preprocess_scan(scan, config)
    values = resample_values(native_values, scan.geometry, grid)
    if np.isnan(values).all():
        raise ScanError(
            "quantities must be known in a voxel of the network's grid, got none",
            remedy="train on a smaller preprocess.spacing_mm, or drop the case",
            case_id=case.case_id,
        )
    save_values(
        folder,
        image=image.numpy(),
        values=values,
        native_values=native_values,
        centres=sample_centres(values),
        facts={
            "grid": grid_facts(grid),
            "native": grid_facts(scan.geometry),
            "unknown": [float(np.isnan(of_one).mean()) for of_one in native_values],
            "image_sha256": image_digest(scan.array),
            "values_sha256": image_digest(native_values),
        },
    )


def sample_centres(values: Array) -> Array:
    """Voxels around which patches are cut: any that are known, and the tenth with the most unusual values.

    Both kinds are evenly spread over their voxels in memory order. Without the second, patches of a large scan would
    mostly hold what is the same everywhere, such as the air about a patient.

    Args:
        values: Quantities `(Q, I, J, K)`; NaN where one is not known.

    Returns:
        int32 of shape `(N, 4)`: 1 for unusual values or else 0, i, j, k.
    """
    known: Mask = ~np.asarray(np.isnan(values).all(axis=0))
    unusual = np.zeros(known.shape, bool)
    for of_one in values:
        there = ~np.isnan(of_one)
        if there.any():
            distance = np.abs(of_one - np.median(of_one[there]))
            limit = np.quantile(distance[there], 1 - _UNUSUAL_SHARE)
            unusual |= there & (distance > limit)
    return np.concatenate([_spread(known, 0), _spread(unusual, 1)])


def _spread(where: Mask, kind: int) -> Array:
    """Up to `CENTRES` voxels, with their kind in front."""
    found = np.flatnonzero(where)
    chosen = found[np.linspace(0, len(found) - 1, min(len(found), CENTRES)).astype(np.int64)]
    voxels = np.stack(np.unravel_index(chosen, where.shape), axis=1)
    return np.concatenate([np.full((len(voxels), 1), kind), voxels], axis=1).astype(np.int32)
