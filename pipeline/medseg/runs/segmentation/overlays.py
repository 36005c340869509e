"""Pictures of the cases that represent a set of masks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.delivery.segmentation import save_error_map, save_overlay
from medseg.evaluation.segmentation import representative_cases, worst_by_structure
from medseg.manifest import manifest_target, read_case
from medseg.records import Case, CaseMetrics, Labelmap, Manifest, Scan, reason_of

_UNSAFE = re.compile(r"[^\w.]+|_")
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
    structures: int = 0,
    errors: Path | None = None,
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
        structures: Count of the structures whose own worst case is drawn, too.
        errors: Folder for pictures of the wrong voxels of the worst cases; none if not given.

    Returns:
        The pictures, and a warning for each that could not be drawn.
    """
    by_id = {case.case_id: case for case in cases}
    paths, warnings = [], []
    drawn: set[str] = set()
    for name, title, case_id in _chosen(rows, worst=worst, structures=structures):
        if case_id in drawn:
            continue
        drawn.add(case_id)
        path = folder / f"{name}_{case_id}.png"
        try:
            scan, label = read_case(by_id[case_id], manifest, root)
            mask, target = mask_of(case_id, scan), manifest_target(manifest)
            save_overlay(scan, label, mask, path, target=target, title=title)
            paths.append(path)
            if errors is not None and name.startswith("worst"):
                save_error_map(scan, label, mask, errors / path.name, target=target, title=title)
                paths.append(errors / path.name)
        except CASE_ERRORS as error:
            warnings.append(f"no picture of the {name} case: {reason_of(error)}")
    return paths, tuple(warnings)


def _chosen(rows: Sequence[CaseMetrics], *, worst: int, structures: int) -> list[tuple[str, str, str]]:
    """Name, title and case id of each picture, the worst case first; a case may come twice."""
    chosen = representative_cases(rows, worst=worst)
    names = sorted(chosen, key=lambda name: _BEFORE.get(name, len(_BEFORE)))
    pictures = []
    for name in names:
        case_id, dice = chosen[name]
        pictures.append((name, f"{name} case {case_id}, mean Dice {dice:.3f}", case_id))
    for structure, (case_id, dice) in list(worst_by_structure(rows).items())[:structures]:
        name = f"worst-{_UNSAFE.sub('-', structure)}"
        pictures.append((name, f"worst case of {structure}: {case_id}, Dice {dice:.3f}", case_id))
    return pictures
