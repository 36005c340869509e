"""Pictures of the cases that represent a set of masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.delivery.segmentation import save_overlay
from medseg.evaluation.segmentation import representative_cases
from medseg.manifest import manifest_target, read_case
from medseg.records import Case, CaseMetrics, Labelmap, Manifest, Scan, reason_of

_BEFORE = {"worst": 0, "best": 1, "median": 2}  # of two cases one is the worst and the other the best


def save_overlays(
    rows: Sequence[CaseMetrics],
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    folder: Path,
    mask_of: Callable[[str, Scan], Labelmap],
    worst: int = 1,
) -> tuple[list[Path], tuple[str, ...]]:
    """Draw reference and mask of the worst cases, the median and the best, each case once.

    Args:
        rows: Metrics that rank the cases.
        cases: Cases to choose from.
        manifest: Dataset of the cases.
        root: Folder that the manifest's paths are relative to.
        folder: Target folder, created if missing.
        mask_of: Gives the mask of a case, by id and scan.
        worst: Count of the worst cases that are drawn.

    Returns:
        The pictures, and a warning for each that could not be drawn.
    """
    by_id = {case.case_id: case for case in cases}
    paths, warnings = [], []
    drawn: set[str] = set()
    chosen = representative_cases(rows, worst=worst)
    for name in sorted(chosen, key=lambda name: _BEFORE.get(name, len(_BEFORE))):
        case_id, dice = chosen[name]
        if case_id in drawn:
            continue
        drawn.add(case_id)
        path = folder / f"{name}_{case_id}.png"
        try:
            scan, label = read_case(by_id[case_id], manifest, root)
            title = f"{name} case {case_id}, mean Dice {dice:.3f}"
            save_overlay(scan, label, mask_of(case_id, scan), path, target=manifest_target(manifest), title=title)
        except CASE_ERRORS as error:
            warnings.append(f"no picture of the {name} case: {reason_of(error)}")
            continue
        paths.append(path)
    return paths, tuple(warnings)
