"""The statistics that a model's card takes with it: of its training cases, and of its validation."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from medseg.inference.segmentation.mask_model import Drawing
from medseg.inference.segmentation.quality import (
    ConfidenceCalibration,
    QualityChecker,
    TrainingStatistics,
    collect_statistics,
)
from medseg.manifest import training_target
from medseg.planning import Plan
from medseg.preprocess.segmentation import StoredCase
from medseg.records import CaseMetrics, Manifest
from medseg.runs.training_cases import TrainingCases
from medseg.targets.structure_values import structure_values
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.task import SegmentationTask

_CHECKING_S = 5.0
_MOST_UNDECIDED = 0.1  # of a structure's voxels


def training_statistics(cases: TrainingCases, plan: Plan, task: SegmentationTask) -> TrainingStatistics | None:
    """Statistics of the training cases alone; None where no facts about them were taken.

    Args:
        cases: Cases of the fold.
        plan: Plan of the training.
        task: Task with the prepared cases.
    """
    masked = [case for case in task.inputs.training if has_mask(case, task.inputs.target)]
    prepared = {case.case_id: case.facts for case in masked}
    known = [case for case in masked if case.facts is not None]
    return collect_statistics(
        [case.facts for case in known if case.facts is not None],
        task.inputs.target.structures,
        normalisation=plan.preprocess.normalisation,
        modalities=[case.modality for case in cases.training if case.modality and prepared.get(case.case_id)],
        unknown=[unknown_structures(case, cases.manifest) for case in known],
    )


def unknown_structures(case: StoredCase, manifest: Manifest) -> tuple[str, ...]:
    """Structures whose extent the label of a case does not give.

    Where voxels are not annotated, any structure may go on there. Those that several raters do not decide are few where
    three or more agree, and leave open only the structures that they could make larger by a tenth.

    Args:
        case: Prepared case.
        manifest: Dataset of the case.
    """
    target = training_target(manifest)
    values = [] if target.ignore is None else [target.ignore]
    left = sum(case.voxels.get(value, 0) + case.outside.get(value, 0) for value in values)
    if not left:
        return case.unannotated
    if manifest.ignore is not None:
        return target.structures
    drawn = {name: sum(case.voxels.get(value, 0) for value in of) for name, of in structure_values(target).items()}
    return tuple(name for name in drawn if name in case.unannotated or left > _MOST_UNDECIDED * drawn[name])


def with_validation(
    statistics: TrainingStatistics, cases: TrainingCases, task: SegmentationTask, rows: Sequence[CaseMetrics]
) -> TrainingStatistics:
    """The statistics with a calibrated confidence, and with how many of the validation's masks they flag.

    Masks are checked for at most five seconds.

    Args:
        statistics: Statistics of the training cases.
        cases: Cases of the fold.
        task: Task that was validated.
        rows: Metrics of its last validation.
    """
    calibrated = statistics.model_copy(update={"confidence": _calibration(task, rows)})
    checker = QualityChecker(task.inputs.target, cases.manifest.channels, calibrated)
    validated = {row.case_id for row in rows}
    start, checked, flagged = time.monotonic(), 0, 0
    for case in task.inputs.validation:
        if case.case_id not in validated or case.facts is None or case.case_id not in task.masks:
            continue
        if time.monotonic() - start > _CHECKING_S:
            break
        drawing = Drawing(task.masks[case.case_id])
        found = checker.findings(case.facts.scan, task.soft_dice[case.case_id], drawing)
        flagged += any(finding.is_flagged for finding in found)
        checked += 1
    return calibrated.model_copy(update={"validation_cases": checked, "validation_flagged": flagged})


def _calibration(task: SegmentationTask, rows: Sequence[CaseMetrics]) -> dict[str, ConfidenceCalibration]:
    """Calibration of each structure that enough validation masks hold."""
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        soft = task.soft_dice.get(row.case_id, {}).get(row.label)
        if soft is not None and row.values["dice"] == row.values["dice"]:
            pairs[row.label].append((soft, row.values["dice"]))
    fitted = {
        name: ConfidenceCalibration.fit(*zip(*found, strict=True), structures=len(pairs))
        for name, found in pairs.items()
    }
    return {name: calibration for name, calibration in fitted.items() if calibration is not None}
