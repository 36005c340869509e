"""Prepare cases once, in parallel, into a store keyed by content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from medseg.cohort import TWO_THREADS, Done, Executor, run_cases
from medseg.manifest import by_value, case_target, read_case_readings, unannotated
from medseg.preprocess.body import crop_to_body, inside
from medseg.preprocess.config import PreprocessConfig
from medseg.preprocess.entry import PreparedCohort, case_key, open_or_make
from medseg.preprocess.partial_labels import resample_partial
from medseg.preprocess.resample import resample_labels
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation.case_facts import CaseFacts
from medseg.preprocess.segmentation.stored_case import STORE_FORMAT, StoredCase, open_case, save_case
from medseg.preprocess.segmentation.structure_facts import structure_facts
from medseg.preprocess.segmentation.voxel_digest import image_digest, labels_digest
from medseg.preprocess.spread_voxels import spread_voxels
from medseg.preprocess.transforms import transform_scan
from medseg.records import Array, Case, Labelmap, Manifest

FOREGROUND_SAMPLES = 4096


PreparedCases = PreparedCohort[StoredCase]


def prepare_cases(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    config: PreprocessConfig,
    store: Path,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> PreparedCases:
    """Preprocess every case that the store does not hold yet.

    A case's key covers the bytes of its files, the label names and all settings, so a change of any makes a new entry.

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
    return PreparedCases(done.results, done.failures)


def fill_store(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    config: PreprocessConfig,
    store: Path,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Done[None]:
    """Preprocess as `prepare_cases` does, and open nothing here: other processes may do it all.

    Args:
        cases: Cases to prepare.
        manifest: Manifest of the cases.
        root: Data root.
        config: Grid and intensities.
        store: Folder of the store.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case, from this thread.
    """
    fill = partial(_fill_case, manifest=manifest, root=root, config=config, store=store)
    return run_cases(cases, fill, stage="prepare", executor=executor, on_done=on_done)


def _fill_case(case: Case, manifest: Manifest, root: Path, *, config: PreprocessConfig, store: Path) -> None:
    _prepare_case(case, manifest, root, config=config, store=store)


def _prepare_case(case: Case, manifest: Manifest, root: Path, *, config: PreprocessConfig, store: Path) -> StoredCase:
    settings = {
        "format": STORE_FORMAT,
        "config": config.model_dump(mode="json"),
        "labels": manifest.labels,
        "allow_empty_labels": manifest.allow_empty_labels,
        **_partial_settings(case, manifest),
    }
    folder = store / case_key(case, manifest, root, settings, with_label=True)
    return open_or_make(
        folder,
        lambda: open_case(folder, case_id=case.case_id, unannotated=unannotated(case, manifest)),
        lambda: _make_entry(folder, case, manifest, root, config),
    )


def _partial_settings(case: Case, manifest: Manifest) -> dict[str, Any]:
    """What else decides an entry: of regions, partial labels and raters alone, so that others keep their keys."""
    others = unannotated(case, manifest)
    settings = {
        "regions": manifest.regions,
        "ignore": case_target(case, manifest).ignore,
        "undrawn": others or None,
        "raters": list(case.raters) if case.raters else None,
        "fusion": (manifest.fusion or "majority") if case.is_fused else None,
    }
    return {name: value for name, value in settings.items() if value is not None}


def _make_entry(folder: Path, case: Case, manifest: Manifest, root: Path, config: PreprocessConfig) -> None:
    scan, label, readings = read_case_readings(case, manifest, root)
    cropped = crop_to_body(scan, config)
    target = case_target(case, manifest)
    inner = inside(label, cropped.box)
    image, grid, grid_label = transform_scan(cropped.scan, config, label=inner, ignore=target.ignore)
    if grid_label is None:
        raise ValueError("a label that went in must come out")

    def on_grid(reading: Labelmap) -> tuple[Labelmap, Array]:
        part, source = inside(reading, cropped.box), cropped.scan.geometry
        if target.ignore is None:
            moved = resample_labels(part, source, grid)
        else:
            moved = resample_partial(part, source, grid, ignore=target.ignore)
        return moved, _sample_foreground(moved, ignore=target.ignore)

    save_case(
        folder,
        image=image.numpy(),
        label=grid_label,
        native_label=label,
        foreground=_sample_foreground(grid_label, ignore=target.ignore),
        grid=grid,
        native=scan.geometry,
        box=cropped.box,
        facts=CaseFacts(
            scan=ScanFacts.of(scan),
            structures=structure_facts(target.annotated(label), by_value(target)),
            image_sha256=image_digest(scan.array),
            label_sha256=labels_digest([label, *readings.values()]),
        ),
        readings=[on_grid(reading) for reading in readings.values()],
    )


def _sample_foreground(label: Labelmap, *, ignore: int | None = None) -> Array:
    """Up to `FOREGROUND_SAMPLES` voxels of each label, evenly spread over its voxels in memory order.

    Where voxels may be ignored, those of the annotated background are sampled, too.
    """
    from scipy import ndimage

    whole = tuple(slice(0, size) for size in label.shape)
    boxes = [None if ignore is None else whole, *ndimage.find_objects(label)]
    rows = []
    for value, box in enumerate(boxes):
        if box is None or value == ignore:
            continue
        voxels = spread_voxels(label[box] == value, FOREGROUND_SAMPLES) + [side.start for side in box]
        rows.append(np.concatenate([np.full((len(voxels), 1), value), voxels], axis=1))
    return np.concatenate(rows) if rows else np.zeros((0, 4), np.int32)
