"""Fingerprint of a dataset: shapes, spacings, intensities and label volumes of the training scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from medseg.cohort import TWO_THREADS, Executor, run_cases
from medseg.errors import TrainingError
from medseg.manifest import case_target, read_case, read_case_image
from medseg.preprocess import BodyCrop, body_box, part_of
from medseg.preprocess.body import inside
from medseg.preprocess.grid import flat_last
from medseg.preprocess.spread_voxels import spread_voxels
from medseg.records import Array, Case, Failure, Labelmap, Manifest, Scan
from medseg.targets.value_counts import value_counts

_ORIENTATION = "RAS"
_SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class CaseFingerprint:
    """Shape, spacing, intensities and label volumes of one case.

    Attributes:
        shape: Voxels along R, A and S; the axis of a single slice comes last.
        spacing_mm: Voxel size along the same axes.
        foreground: Sampled intensities of labelled voxels, `(C, N)`.
        voxels: Number of voxels of each label value that has any.
        body: Voxels of the body's box along the same axes as `shape`; None where it was not looked for.
        labelled_outside: Labelled voxels outside of that box.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    foreground: Array
    voxels: Mapping[int, int] = field(default_factory=dict)
    body: tuple[int, int, int] | None = None
    labelled_outside: int = 0

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Fingerprints of all training cases that could be read.

    Attributes:
        cases: One entry per case.
        failures: Cases that could not be read.
        is_2d: Whether every case has a single slice.
    """

    cases: tuple[CaseFingerprint, ...]
    failures: tuple[Failure, ...]
    is_2d: bool

    def shapes(self) -> Array:
        """Shapes of all cases, `(N, 3)`."""
        return np.array([case.shape for case in self.cases])

    def spacings_mm(self) -> Array:
        """Spacings of all cases, `(N, 3)`."""
        return np.array([case.spacing_mm for case in self.cases])

    def body_share(self) -> float | None:
        """Mean share of the scans that the bodies' boxes take; None where they were not looked for."""
        shares = [np.prod(case.body) / np.prod(case.shape) for case in self.cases if case.body is not None]
        return float(np.mean(shares)) if shares else None

    def foreground(self, channel: int) -> Array:
        """Sampled intensities of one channel's labelled voxels over all cases."""
        return np.concatenate([case.foreground[channel] for case in self.cases])


def take_fingerprint(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    with_labels: bool = True,
    body: BodyCrop | None = None,
    executor: Executor = TWO_THREADS,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Fingerprint:
    """Read every case once.

    Args:
        cases: Training cases of the fold; validation cases must not shape the plan.
        manifest: Manifest of the cases.
        root: Data root.
        with_labels: Whether intensities are of labelled voxels; otherwise of all, and no label is read.
        body: Rule that finds the body's box in volumes; None to leave it out.
        executor: Executor of the work, case by case.
        on_done: Called with the case id after each case.

    Raises:
        TrainingError: If no case can be read.
    """
    read = partial(_case_fingerprint, manifest=manifest, root=root, with_labels=with_labels, body=body)
    done = run_cases(cases, read, stage="plan", executor=executor, on_done=on_done)
    if not done.results:
        first = done.failures[0].reason if done.failures else "the fold is empty"
        raise TrainingError(f"manifest {manifest.name}: at least one training case must be readable, got none; {first}")
    return Fingerprint(done.results, done.failures, is_2d=all(1 in case.shape for case in done.results))


def _case_fingerprint(
    case: Case, manifest: Manifest, root: Path, *, with_labels: bool, body: BodyCrop | None
) -> CaseFingerprint:
    voxels: dict[int, int] = {}
    label: Labelmap | None = None
    if with_labels:
        scan, label = read_case(case, manifest, root)
        label = case_target(case, manifest).annotated(label)
        voxels = _voxels(label)
    else:
        scan = read_case_image(case, manifest, root)
    taken = scan_fingerprint(scan, label, voxels)
    if body is None:
        return taken
    box = body_box(scan, body)
    outside = 0 if label is None else int(np.count_nonzero(label) - np.count_nonzero(inside(label, box)))
    shape = part_of(scan.geometry, box).reoriented(_ORIENTATION).shape
    return replace(taken, body=shape, labelled_outside=outside)


def scan_fingerprint(
    scan: Scan, label: Labelmap | None = None, voxels: Mapping[int, int] | None = None
) -> CaseFingerprint:
    """Shape, spacing and intensities of a scan.

    Args:
        scan: Scan as it was read.
        label: Label values; intensities are those of labelled voxels. None for those of all.
        voxels: Number of voxels of each label value that has any.
    """
    grid = flat_last(scan.geometry.reoriented(_ORIENTATION))
    chosen = spread_voxels(np.ones(scan.geometry.shape, bool) if label is None else label, _SAMPLES)
    values = np.ascontiguousarray(scan.array[(slice(None), *chosen.T)])
    return CaseFingerprint(grid.shape, grid.spacing_mm, values, voxels or {})


def sampled(found: Array) -> Array:
    """An even sample of some numbers, at most ten thousand."""
    chosen: Array = found[np.linspace(0, len(found) - 1, min(len(found), _SAMPLES)).astype(np.int64)]
    return chosen


def _voxels(label: Labelmap) -> dict[int, int]:
    """Number of voxels of each label value above 0."""
    counts = value_counts(label, int(label.max(initial=0)) + 1)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts) if value}
