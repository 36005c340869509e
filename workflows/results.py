"""What train and evaluate deliver alike: tables, overlay pictures, and both in MLflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from medseg.delivery.segmentation import save_overlay
from medseg.errors import PipelineError
from medseg.evaluation.segmentation import case_columns, representative_cases
from medseg.manifest import manifest_target, read_case
from medseg.records import Case, CaseMetrics, Labelmap, Manifest, Scan
from medseg.tracking import TrackedRun

_log = logging.getLogger(__name__)


def save_overlays(
    rows: Sequence[CaseMetrics],
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    folder: Path,
    mask_of: Callable[[str, Scan], Labelmap],
) -> list[Path]:
    """Pictures of the worst, median and best case.

    Args:
        rows: Metrics that rank the cases.
        cases: Where to find them.
        manifest: Their manifest.
        root: The data root.
        folder: Where to.
        mask_of: The mask of a case, by id and scan.
    """
    by_id = {case.case_id: case for case in cases}
    paths = []
    for name, (case_id, dice) in representative_cases(rows).items():
        path = folder / f"{name}_{case_id}.png"
        try:
            scan, label = read_case(by_id[case_id], manifest, root)
            title = f"{name} case {case_id}, mean Dice {dice:.3f}"
            save_overlay(scan, label, mask_of(case_id, scan), path, target=manifest_target(manifest), title=title)
        except PipelineError as error:
            _log.warning("no picture of the %s case: %s", name, error)
            continue
        paths.append(path)
    return paths


def track_results(
    run: TrackedRun, rows: Sequence[CaseMetrics], *, files: Sequence[Path], pictures: Sequence[Path], table: str
) -> None:
    """Log tables and pictures."""
    for file in files:
        run.log_file(file)
    if rows:
        run.log_table(case_columns(rows), table)
    for picture in pictures:
        run.log_file(picture, folder="overlays")
