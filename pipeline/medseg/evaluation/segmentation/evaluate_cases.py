"""Compare a folder of masks with a manifest's labels on the scans' own grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from medseg.cohort import SERIAL, Executor, run_cases
from medseg.errors import ScanError
from medseg.evaluation.segmentation.measure_case import measure_case
from medseg.evaluation.segmentation.metric import Metric
from medseg.manifest.case_scans import check_named, check_same_grid, read_case_label
from medseg.manifest.target import manifest_target
from medseg.records import Case, CaseMetrics, Failure, Manifest
from medseg.scans import read_label

_OTHER_MANIFEST = "evaluate with the manifest that the model was trained on"
MASK_SUFFIXES = (".nii.gz", ".png", ".nii", ".nrrd", ".mha", ".tif", ".tiff")  # ours first, then other programs'


def evaluate_cases(
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    masks: Path,
    metrics: Mapping[str, Metric] | None = None,
    executor: Executor = SERIAL,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[list[CaseMetrics], list[Failure]]:
    """Metrics of every case with a mask and a label that can be read and share a grid.

    Args:
        cases: Cases to evaluate.
        manifest: Manifest of the cases.
        root: Data root.
        masks: Folder with a mask `<case_id>.nii.gz`, `.png` or of another format of labels for each case.
        metrics: Metrics of the user's own by name.
        executor: Runner of the work on the cases.
        on_done: Called with the case id after each case.

    Returns:
        Metrics per case and label, and the cases that failed.
    """
    evaluate = partial(_evaluate_case, manifest=manifest, root=root, masks=masks, metrics=metrics or {})
    done = run_cases(cases, evaluate, stage="evaluate", executor=executor, on_done=on_done)
    return [row for rows in done.results for row in rows], list(done.failures)


def _evaluate_case(
    case: Case, manifest: Manifest, root: Path, masks: Path, metrics: Mapping[str, Metric]
) -> list[CaseMetrics]:
    path = find_mask(masks, case.case_id)
    label, label_grid = read_case_label(case, manifest, root)
    mask, mask_grid = read_label(path, case_id=case.case_id)
    check_same_grid(mask_grid, label_grid, case_id=case.case_id, thing="mask", reference="label")
    check_named(mask, manifest, path, case_id=case.case_id, thing="mask", remedy=_OTHER_MANIFEST)
    return measure_case(
        label,
        mask,
        target=manifest_target(manifest),
        case_id=case.case_id,
        spacing_mm=label_grid.spacing_mm,
        metrics=metrics,
    )


def find_mask(masks: Path, case_id: str) -> Path:
    """The mask of a case.

    Raises:
        ScanError: If there is none.
    """
    for suffix in MASK_SUFFIXES:
        path = masks / f"{case_id}{suffix}"
        if path.is_file():
            return path
    fact = f"a mask must lie in {masks.name}, found none"
    raise ScanError(fact, remedy="run predict on this case first", case_id=case_id)
