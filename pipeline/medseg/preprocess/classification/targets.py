"""The truth about a case: the classes that each slice shows, and those of the whole case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medseg.cohort import run_cases
from medseg.errors import ScanError
from medseg.preprocess.classification.prepare import StoredSlices
from medseg.records import Array, Case
from medseg.targets import BACKGROUND, UNKNOWN, SliceClasses


@dataclass(frozen=True, slots=True, eq=False)
class SliceTargets:
    """The truth about one case.

    Attributes:
        slices: Truth 1, 0 or -1 (unknown) of each slice, in the order of the case's slice axis, and of each class,
            int8 `(N, classes)`.
        study: Truth of the whole case, int8 `(classes,)`.
    """

    slices: Array
    study: Array


class TargetReader(Protocol):
    """A source of the truth."""

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case.

        Raises:
            ScanError: If there is none, or it does not fit the case.
        """


class LabelTargets:
    """Truth from the areas of the labels in a label volume.

    A slice shows a class if the class's area exceeds the threshold. With one class per slice it shows the largest of
    those, else `background`. What a slice does not show is unknown where that could lie in voxels that nobody has
    annotated, or is not annotated in the case; with one class per slice, so is all of such a slice.

    Args:
        config: Classes and their least area.
    """

    def __init__(self, config: SliceClasses) -> None:
        self.config = config

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case."""
        if stored.areas_mm2 is None:
            raise ScanError(
                "label must be given in the manifest, got none", remedy="add it or drop it", case_id=case.case_id
            )
        areas, config = stored.areas_mm2, self.config
        unknown = [name for name in config.structures if name not in areas]
        if unknown:
            raise ScanError(
                f"classes must be among the labels {list(areas)}, got {unknown}",
                remedy="plan for this manifest",
                case_id=case.case_id,
            )
        truth = config.encode(areas)
        if config.kind == "multiclass":
            _check_every_slice_has_a_class(truth, case_id=case.case_id)
        return _partly_known(truth, stored, config)


class ManifestTargets:
    """Truth from `slice_labels` of the manifest, which are given along the array's last axis.

    Args:
        config: Classes to learn.
        known: Further names that slices may have and that are not learned.
    """

    def __init__(self, config: SliceClasses, *, known: Sequence[str] = ()) -> None:
        self.config = config
        self.known = {*config.classes, *known, BACKGROUND}

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case."""
        given = case.slice_labels
        if given is None:
            raise ScanError(
                "slice_labels must be given in the manifest, got none", remedy="add them", case_id=case.case_id
            )
        if stored.axis != 2:
            raise ScanError(
                f"slice_labels run along the array's last axis, but slices of this plane along axis {stored.axis}",
                remedy="choose the plane that the scan was taken in",
                case_id=case.case_id,
            )
        if len(given) != len(stored):
            raise ScanError(
                f"slice_labels must have one entry for each of {len(stored)} slices, got {len(given)}",
                remedy="fix the manifest",
                case_id=case.case_id,
            )
        rows = [_named(names, self.config, self.known, case_id=case.case_id) for names in given]
        return known_targets(stored.in_scan_order(np.array(rows)))


def read_targets(
    reader: TargetReader, stored: Sequence[StoredSlices], cases: Sequence[Case]
) -> tuple[dict[str, SliceTargets], dict[str, str]]:
    """Truth of each case by its id, and the reason by id of each case that has none."""
    by_id = {case.case_id: case for case in cases}
    done = run_cases(stored, lambda one: reader.read(one, by_id[one.case_id]), stage="labels")
    return done.by_id(), {failure.case_id: failure.reason for failure in done.failures}


def known_targets(shown: Array) -> SliceTargets:
    """Targets of a case whose slices are all known; a study shows what any of its slices shows."""
    slices = shown.astype(np.int8)
    return SliceTargets(slices, slices.max(axis=0))


def _partly_known(truth: Array, stored: StoredSlices, config: SliceClasses) -> SliceTargets:
    """Targets of a case in which some of what no slice shows is unknown."""
    slices = truth.astype(np.int8)
    is_open = np.zeros(slices.shape, bool)
    if stored.ignored_mm2 is not None and stored.areas_mm2 is not None:
        is_open |= (stored.ignored_mm2 > 0)[:, np.newaxis]
        for column, name in enumerate(config.classes):
            if name in stored.areas_mm2 and config.kind == "multilabel":
                is_open[:, column] &= stored.areas_mm2[name] + stored.ignored_mm2 > config.min_area_mm2
    is_open[:, [config.classes.index(name) for name in stored.unannotated if name in config.classes]] = True
    if config.kind == "multiclass":
        slices[is_open.any(axis=1)] = UNKNOWN
    else:
        slices[is_open & (slices == 0)] = UNKNOWN
    study = np.where((slices == 1).any(axis=0), 1, np.where((slices == UNKNOWN).any(axis=0), UNKNOWN, 0))
    return SliceTargets(slices, study.astype(np.int8))


def _check_every_slice_has_a_class(truth: Array, *, case_id: str) -> None:
    bare = np.flatnonzero(~truth.any(axis=1))
    if len(bare):
        raise ScanError(
            f"every slice must be of one class, got none on slice {bare[0]}",
            remedy=f"add {BACKGROUND!r} to the classes",
            case_id=case_id,
        )


def _named(names: Sequence[str], config: SliceClasses, known: set[str], *, case_id: str) -> list[bool]:
    """One row: which classes are named."""
    given = list(names) or [BACKGROUND]
    unknown = sorted(set(given) - known)
    if unknown:
        raise ScanError(
            f"slice labels must be among {sorted(known)}, got {unknown}",
            remedy="name them in the manifest or fix them",
            case_id=case_id,
        )
    row = [name in given for name in config.classes]
    if config.kind == "multiclass" and sum(row) != 1:
        raise ScanError(
            f"every slice must be of one class, got {given}", remedy="choose the kind multilabel", case_id=case_id
        )
    return row
