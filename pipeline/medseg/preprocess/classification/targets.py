"""Which classes each slice of a case shows, and the whole case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medseg.cohort import run_cases
from medseg.errors import ScanError
from medseg.preprocess.classification.prepare import StoredSlices
from medseg.records import Array, Case
from medseg.targets import BACKGROUND, SliceClasses


@dataclass(frozen=True, slots=True, eq=False)
class SliceTargets:
    """The truth about one case.

    Attributes:
        slices: 1, 0 or -1 (unknown) per slice and class, int8 `(N, classes)`, in the order of the case's slice axis.
        study: The same for the whole case, `(classes,)`.
    """

    slices: Array
    study: Array


class TargetReader(Protocol):
    """Where the truth comes from."""

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case.

        Raises:
            ScanError: If there is none, or it does not fit the case.
        """


class LabelTargets:
    """From the areas of the label volume's labels.

    A slice shows a class if its area exceeds the threshold. With one class per slice it is the largest of those that
    do, else `background`.

    Args:
        config: Classes and threshold.
    """

    def __init__(self, config: SliceClasses) -> None:
        self.config = config

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case."""
        if stored.areas_mm2 is None:
            raise ScanError(f"case {case.case_id}: label must be given in the manifest, got none; add it or drop it")
        areas, config = stored.areas_mm2, self.config
        unknown = [name for name in config.structures if name not in areas]
        if unknown:
            raise ScanError(
                f"case {case.case_id}: classes must be among the labels {list(areas)}, got {unknown}; plan for this "
                "manifest"
            )
        truth = config.encode(areas)
        if config.kind == "multiclass":
            _check_every_slice_has_a_class(truth, case_id=case.case_id)
        return known_targets(truth)


class ManifestTargets:
    """From `slice_labels` of the manifest, which are given along the array's last axis.

    Args:
        config: Classes.
        known: More names that slices may have without being learned.
    """

    def __init__(self, config: SliceClasses, *, known: Sequence[str] = ()) -> None:
        self.config = config
        self.known = {*config.classes, *known, BACKGROUND}

    def read(self, stored: StoredSlices, case: Case) -> SliceTargets:
        """The truth about a case."""
        given = case.slice_labels
        if given is None:
            raise ScanError(f"case {case.case_id}: slice_labels must be given in the manifest, got none; add them")
        if stored.axis != 2:
            raise ScanError(
                f"case {case.case_id}: slice_labels run along the array's last axis, but slices of this plane along "
                f"axis {stored.axis}; choose the --plane that the scan was taken in"
            )
        if len(given) != len(stored):
            raise ScanError(
                f"case {case.case_id}: slice_labels must have one entry for each of {len(stored)} slices, got "
                f"{len(given)}; mend the manifest"
            )
        rows = [_named(names, self.config, self.known, case_id=case.case_id) for names in given]
        return known_targets(stored.in_scan_order(np.array(rows)))


def read_targets(
    reader: TargetReader, stored: Sequence[StoredSlices], cases: Sequence[Case]
) -> tuple[dict[str, SliceTargets], dict[str, str]]:
    """The truth about every case by its id, and the reason by id where there is none."""
    by_id = {case.case_id: case for case in cases}
    done = run_cases(stored, lambda one: reader.read(one, by_id[one.case_id]), stage="labels")
    return done.by_id(), {failure.case_id: failure.reason for failure in done.failures}


def known_targets(shown: Array) -> SliceTargets:
    """Targets of which every slice is known; a study shows what any of its slices shows."""
    slices = shown.astype(np.int8)
    return SliceTargets(slices, slices.max(axis=0))


def _check_every_slice_has_a_class(truth: Array, *, case_id: str) -> None:
    bare = np.flatnonzero(~truth.any(axis=1))
    if len(bare):
        raise ScanError(
            f"case {case_id}: every slice must be of one class, got none on slice {bare[0]}; add {BACKGROUND!r} to the "
            "classes"
        )


def _named(names: Sequence[str], config: SliceClasses, known: set[str], *, case_id: str) -> list[bool]:
    """One row: which classes are named."""
    given = list(names) or [BACKGROUND]
    unknown = sorted(set(given) - known)
    if unknown:
        raise ScanError(
            f"case {case_id}: slice labels must be among {sorted(known)}, got {unknown}; name them in the "
            "manifest or mend them"
        )
    row = [name in given for name in config.classes]
    if config.kind == "multiclass" and sum(row) != 1:
        raise ScanError(f"case {case_id}: every slice must be of one class, got {given}; use --kind multilabel")
    return row
