"""Prepare cases once, in parallel, into a store keyed by content."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.errors import ScanError
from medseg.manifest import read_case
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.content_key import content_key
from medseg.preprocess.segmentation.stored_case import STORE_FORMAT, StoredCase, open_case, save_case
from medseg.preprocess.transforms import preprocess_scan
from medseg.records import Array, Case, Failure, Labelmap, Manifest

FOREGROUND_SAMPLES = 4096


class Prepared(NamedTuple):
    """What came of a cohort: prepared cases in the order asked for, and those that failed."""

    cases: tuple[StoredCase, ...]
    failures: tuple[Failure, ...]


def prepare_cases(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    config: PreprocessConfig,
    store: Path,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Prepared:
    """Preprocess every case that the store does not hold yet.

    A case's key covers the bytes of its files, the label names and all settings, so a change of any makes a new entry.

    Args:
        cases: Which cases.
        manifest: Where they come from.
        root: The data root.
        config: The plan's preprocessing.
        store: Folder of the store.
        executor: Where the work runs.
        on_done: Called with the case id after each case, from this thread.
    """
    prepare = partial(_prepare_case, manifest=manifest, root=root, config=config, store=store)
    done = run_cases(cases, prepare, stage="prepare", executor=executor, on_done=on_done)
    return Prepared(done.results, done.failures)


def _prepare_case(case: Case, manifest: Manifest, root: Path, *, config: PreprocessConfig, store: Path) -> StoredCase:
    folder = store / _content_key(case, manifest, root, config)
    if folder.exists():
        try:
            return open_case(folder, case_id=case.case_id)
        except ScanError:
            shutil.rmtree(folder)  # a damaged entry is made again
    scan, label = read_case(case, manifest, root)
    image, grid, plan_label = preprocess_scan(scan, config, label=label)
    if plan_label is None:
        raise ValueError("a label that went in must come out")
    save_case(
        folder,
        image=image.numpy(),
        label=plan_label,
        native_label=label,
        foreground=_sample_foreground(plan_label),
        grid=grid,
        native=scan.geometry,
    )
    return open_case(folder, case_id=case.case_id)


def _content_key(case: Case, manifest: Manifest, root: Path, config: PreprocessConfig) -> str:
    settings = {
        "format": STORE_FORMAT,
        "config": config.model_dump(mode="json"),
        "labels": manifest.labels,
        "channels": len(manifest.channels),
        "instances": manifest.instances,
        "allow_empty_labels": manifest.allow_empty_labels,
        "sha256": case.sha256,
    }
    return content_key(settings, [root / name for name in (*case.images, *([case.label] if case.label else []))])


def _sample_foreground(label: Labelmap) -> Array:
    """Up to `FOREGROUND_SAMPLES` voxels of each label, evenly spread over its voxels in memory order."""
    rows = []
    for value in np.unique(label[label > 0]):
        found = np.flatnonzero(label == value)
        chosen = found[np.linspace(0, len(found) - 1, min(len(found), FOREGROUND_SAMPLES)).astype(np.int64)]
        voxels = np.stack(np.unravel_index(chosen, label.shape), axis=1)
        rows.append(np.concatenate([np.full((len(voxels), 1), value), voxels], axis=1))
    return np.concatenate(rows) if rows else np.zeros((0, 4), np.int32)
