"""The raters of a dataset, measured beside the masks of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from medseg.cohort import SERIAL, Executor
from medseg.evaluation.segmentation import (
    RATERS_DICE,
    EvaluationContract,
    Metric,
    RaterAgreement,
    measure_raters,
    rater_agreement,
    scoped_metrics,
)
from medseg.evaluation.segmentation.measure_case import check_new_names
from medseg.evaluation.segmentation.rater_pairs import STAGE
from medseg.records import Case, CaseMetrics, Manifest
from medseg.runs.progress import Progress


def measure_agreement(
    rows: Sequence[CaseMetrics],
    cases: Sequence[Case],
    manifest: Manifest,
    root: Path,
    *,
    masks: Path,
    contract: EvaluationContract,
    metrics: Mapping[str, Metric],
    executor: Executor = SERIAL,
    progress: Progress,
) -> RaterAgreement | None:
    """Compare the raters of the measured cases with each other and with the masks; None where no case has several.

    Args:
        rows: Metrics of the masks.
        cases: Cases of the evaluation.
        manifest: Dataset of the cases.
        root: Folder that the manifest's paths are relative to.
        masks: Folder of the masks.
        contract: Contract of the masks.
        metrics: Metrics of the user's own by name.
        executor: Runner of the work on the cases.
        progress: Follows the work.
    """
    measured = {row.case_id for row in rows}
    read = [case for case in cases if case.raters and case.case_id in measured]
    if not read:
        return None
    with progress.over_cases(len(read), STAGE) as on_done:
        pairs, failures = measure_raters(
            read,
            manifest,
            root,
            masks=masks,
            contract=contract,
            metrics=metrics,
            executor=executor,
            on_done=on_done,
        )
    return rater_agreement(pairs, patients={case.case_id: case.patient_id for case in read}, failures=failures)


def check_own_metrics(cases: Sequence[Case], metrics: Mapping[str, Metric]) -> None:
    """Refuse a metric of the user's own that has the name of the Dice with raters, before the work begins.

    Raises:
        ConfigError: If there is one, and a case has raters.
    """
    if any(case.raters for case in cases):
        check_new_names([RATERS_DICE], metrics)


def agreement_metrics(found: RaterAgreement, scope: str) -> dict[str, float]:
    """Flat names for tracking: the raters with each other, the model with each rater, and how often it is within.

    Args:
        found: Agreement of the raters and the model.
        scope: What was evaluated, such as `val` or `test`.
    """
    values = scoped_metrics(found.between, f"{scope}_between_raters")
    for name, summary in found.with_mask.items():
        values |= scoped_metrics(summary, f"{scope}_with_rater_{name}")
    for entry in found.spread:
        if entry.cases:
            values[f"{scope}_within_raters/share/{entry.structure}"] = entry.within / entry.cases
            values[f"{scope}_within_raters/williams_index/{entry.structure}"] = entry.index
    return values


def undecided_text(cases: Sequence[Case], rows: Sequence[CaseMetrics]) -> tuple[str, ...]:
    """What a reader of the numbers must know of cases of two raters, who decide nothing where they differ."""
    measured = {row.case_id for row in rows}
    pairs = [case for case in cases if case.is_fused and case.case_id in measured and len(case.raters or {}) % 2 == 0]
    if not pairs:
        return ()
    said = (
        f"{len(pairs)} case(s) have an even number of raters and no label of their own: voxels that as many draw as "
        "leave out do not count against the reference, which flatters the model; hold it against the raters instead"
    )
    return (said,)
