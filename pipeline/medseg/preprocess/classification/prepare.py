"""Slices prepared once, in parallel, into a store keyed by content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.manifest import case_target, read_case, read_case_image, unannotated
from medseg.preprocess.classification.config import SliceConfig
from medseg.preprocess.classification.slice_axis import SliceAxis
from medseg.preprocess.classification.stack import slice_stack
from medseg.preprocess.entry import PreparedCohort, case_key, open_or_make, reading_entry, write_entry
from medseg.preprocess.store import compact, damaged_entry, open_array, write_array
from medseg.records import Array, Case, Labelmap, Manifest, Mask

_FORMAT = 3
_FACTS = "slices.json"


@dataclass(frozen=True, slots=True)
class StoredSlices:
    """The slices of a case in the store, in the order of their axis towards S, A or R.

    Attributes:
        case_id: Id of the case.
        patient_id: Patient that the case belongs to.
        folder: Folder of the entry, `store/<key>`.
        positions_mm: Centre of each slice along S, A or R.
        axis: Axis of the scan's own array that the slices follow.
        is_flipped: Whether the scan's own array holds them in the opposite order.
        areas_mm2: Area of each label or region on each slice by name, `(N,)` each; None where no label was read.
        ignored_mm2: Area on each slice that nobody has annotated, `(N,)`; None where every voxel is.
        unannotated: Labels or regions that were not annotated in this case.
    """

    case_id: str
    patient_id: str
    folder: Path
    positions_mm: Array
    axis: int
    is_flipped: bool
    areas_mm2: dict[str, Array] | None
    ignored_mm2: Array | None = None
    unannotated: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.positions_mm)

    def open(self) -> Any:
        """The pictures `(N, C, I, J)`; slicing reads only the chunks that are needed."""
        return open_array(self.folder / "slices.b2nd", case_id=self.case_id)

    def stack(self) -> Tensor:
        """All pictures in memory, float32."""
        return self.read(0, len(self))

    def read(self, start: int, stop: int) -> Tensor:
        """Pictures `start <= n < stop` in memory, float32.

        Raises:
            ScanError: If the store's array cannot be read.
        """
        try:
            return torch.from_numpy(np.asarray(self.open()[start:stop]).astype(np.float32))
        except (OSError, RuntimeError, ValueError, AttributeError) as error:  # what blosc2 raises
            raise damaged_entry(self.folder, error, case_id=self.case_id) from error

    def in_scan_order(self, values: Array) -> Array:
        """Values per slice, `(N, …)`, in the order of the scan's own array."""
        return values[::-1] if self.is_flipped else values


PreparedSlices = PreparedCohort[StoredSlices]


def prepare_slices(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    config: SliceConfig,
    with_labels: bool,
    store: Path,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> PreparedSlices:
    """Cut every case that the store does not hold yet into slices.

    Args:
        cases: Cases to prepare.
        manifest: Manifest of the cases.
        root: Data root.
        config: Plane, pixels and intensities.
        with_labels: Whether to measure the label volumes too; a case without one then fails.
        store: Folder of the store.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case, from this thread.
    """
    prepare = partial(_prepare_case, manifest=manifest, root=root, config=config, with_labels=with_labels, store=store)
    done = run_cases(cases, prepare, stage="prepare", executor=executor, on_done=on_done)
    return PreparedSlices(done.results, done.failures)


def label_areas_mm2(label: Labelmap, along: SliceAxis, labels: dict[str, int]) -> dict[str, Array]:
    """Area of each label on each slice, in the order of the slice axis.

    Args:
        label: Label values on the scan's own grid.
        along: Slices of that grid.
        labels: Value of each label by name.
    """
    return {name: _area_mm2(label == value, along) for name, value in labels.items()}


def _area_mm2(where: Mask, along: SliceAxis) -> Array:
    """Area of some voxels on each slice, in the order of the slice axis."""
    pixel_mm2 = along.grid.spacing_mm[0] * along.grid.spacing_mm[1]
    others = tuple(axis for axis in range(3) if axis != along.axis)
    area = np.asarray(where.sum(axis=others) * pixel_mm2)
    return area[::-1] if along.is_flipped else area


def _prepare_case(
    case: Case, manifest: Manifest, root: Path, *, config: SliceConfig, with_labels: bool, store: Path
) -> StoredSlices:
    settings = {
        "slices": _FORMAT,
        "config": config.model_dump(mode="json", exclude={"context"}),
        "labels": manifest.labels if with_labels else None,
        **(_partial_settings(manifest) if with_labels else {}),
    }
    folder = store / case_key(case, manifest, root, settings, with_label=with_labels)
    return open_or_make(
        folder,
        lambda: _open(folder, case, unannotated=unannotated(case, manifest)),
        lambda: _make_entry(folder, case, manifest, root, config, with_labels=with_labels),
    )


def _partial_settings(manifest: Manifest) -> dict[str, Any]:
    """What else decides an entry: of regions and ignored voxels alone, so that other entries keep their keys."""
    settings = {"regions": manifest.regions, "ignore": manifest.ignore}
    return {name: value for name, value in settings.items() if value is not None}


def _make_entry(
    folder: Path, case: Case, manifest: Manifest, root: Path, config: SliceConfig, *, with_labels: bool
) -> None:
    label: Labelmap | None = None
    if with_labels:
        scan, label = read_case(case, manifest.model_copy(update={"allow_empty_labels": True}), root)
    else:
        scan = read_case_image(case, manifest, root)
    pictures, along = slice_stack(scan, config)
    areas, ignored = None, None
    if label is not None:
        target = case_target(case, manifest)
        areas = {name: _area_mm2(target.shows(label, name), along) for name in target.structures}
        ignored = None if manifest.ignore is None else _area_mm2(label == manifest.ignore, along)
    _save(folder, compact(pictures.numpy()), along, areas, ignored)


def _save(
    folder: Path, pictures: Array, along: SliceAxis, areas: dict[str, Array] | None, ignored: Array | None
) -> None:
    facts: dict[str, Any] = {
        "positions_mm": along.positions_mm.tolist(),
        "axis": along.axis,
        "is_flipped": along.is_flipped,
        "areas_mm2": None if areas is None else {name: area.tolist() for name, area in areas.items()},
    }
    if ignored is not None:
        facts["ignored_mm2"] = ignored.tolist()

    def write_pictures(target: Path) -> None:
        write_array(target / "slices.b2nd", pictures, chunks=(1, *pictures.shape[1:]))

    write_entry(folder, _FACTS, facts, write_pictures)


def _open(folder: Path, case: Case, *, unannotated: tuple[str, ...]) -> StoredSlices:
    with reading_entry(folder, _FACTS, case_id=case.case_id) as facts:
        areas = facts["areas_mm2"]
        areas = None if areas is None else {name: np.array(area, np.float64) for name, area in areas.items()}
        stored = StoredSlices(
            case_id=case.case_id,
            patient_id=case.patient_id,
            folder=folder,
            positions_mm=np.array(facts["positions_mm"], dtype=np.float64),
            axis=int(facts["axis"]),
            is_flipped=bool(facts["is_flipped"]),
            areas_mm2=areas,
            ignored_mm2=np.array(facts["ignored_mm2"], np.float64) if "ignored_mm2" in facts else None,
            unannotated=unannotated,
        )
        counts = {len(stored.open()), *(len(area) for area in (areas or {}).values())}
        if counts != {len(stored)}:
            raise ValueError(f"{sorted(counts)} pictures or areas for {len(stored)} slices")
    return stored
