"""What the training scans are like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseg.errors import PipelineError, TrainingError
from medseg.manifest import read_case, read_case_image
from medseg.preprocess.grid import flat_last
from medseg.records import Array, Case, Failure, Manifest

_ORIENTATION = "RAS"
_SAMPLES = 10_000


@dataclass(frozen=True, slots=True)
class CaseFingerprint:
    """One case.

    Attributes:
        shape: Voxels, axes along R, A and S; a single slice comes last.
        spacing_mm: Along the same axes.
        foreground: Sampled intensities of labelled voxels, `(C, N)`.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    foreground: Array


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """All training cases that could be read.

    Attributes:
        cases: One entry each.
        failures: Cases that could not be read.
        is_2d: Whether every case has a single slice.
    """

    cases: tuple[CaseFingerprint, ...]
    failures: tuple[Failure, ...]
    is_2d: bool

    def shapes(self) -> Array:
        """`(N, 3)`."""
        return np.array([case.shape for case in self.cases])

    def spacings_mm(self) -> Array:
        """`(N, 3)`."""
        return np.array([case.spacing_mm for case in self.cases])

    def foreground(self, channel: int) -> Array:
        """Sampled intensities of one channel's labelled voxels over all cases."""
        return np.concatenate([case.foreground[channel] for case in self.cases])


def take_fingerprint(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    with_labels: bool = True,
    workers: int = 2,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> Fingerprint:
    """Read every case once.

    Args:
        cases: The training cases of the fold; validation cases must not shape the plan.
        manifest: Where they come from.
        root: The data root.
        with_labels: Whether intensities are of labelled voxels; otherwise of all, and no label is read.
        workers: Threads.
        on_done: Called with the case id after each case.

    Raises:
        TrainingError: If no case can be read.
    """
    found: dict[str, CaseFingerprint] = {}
    failures: dict[str, Failure] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures: dict[Future[CaseFingerprint], str] = {
            pool.submit(_case_fingerprint, case, manifest, root, with_labels=with_labels): case.case_id
            for case in cases
        }
        for future in as_completed(futures):
            case_id = futures[future]
            try:
                found[case_id] = future.result()
            except (PipelineError, MemoryError, RuntimeError) as error:
                failures[case_id] = Failure.of(case_id, "plan", error)
            on_done(case_id)
    ordered = tuple(found[case.case_id] for case in cases if case.case_id in found)
    failed = tuple(failures[case.case_id] for case in cases if case.case_id in failures)
    if not ordered:
        first = failed[0].reason if failed else "the fold is empty"
        raise TrainingError(f"manifest {manifest.name}: at least one training case must be readable, got none; {first}")
    return Fingerprint(ordered, failed, is_2d=all(1 in case.shape for case in ordered))


def _case_fingerprint(case: Case, manifest: Manifest, root: Path, *, with_labels: bool) -> CaseFingerprint:
    if with_labels:
        scan, label = read_case(case, manifest, root)
        found = np.flatnonzero(label)
    else:
        scan = read_case_image(case, manifest, root)
        found = np.arange(scan.array[0].size)
    grid = flat_last(scan.geometry.reoriented(_ORIENTATION))
    chosen = found[np.linspace(0, len(found) - 1, min(len(found), _SAMPLES)).astype(np.int64)]
    return CaseFingerprint(grid.shape, grid.spacing_mm, scan.array.reshape(scan.array.shape[0], -1)[:, chosen])
