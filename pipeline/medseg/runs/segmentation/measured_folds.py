"""The cases of all folds, each drawn by the networks that have not seen it, and measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.cohort import CASE_ERRORS
from medseg.evaluation.segmentation import (
    EvaluationContract,
    FoldSpread,
    bound_contract,
    evaluate_cases,
    fold_spread,
    read_metrics,
)
from medseg.inference.segmentation.load_model import load_model
from medseg.manifest import assign_folds, load_manifest
from medseg.records import Case, CaseMetrics, Failure
from medseg.runs.machine import torch_device
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.segmentation.job import SegmentationJob
from medseg.runs.segmentation.out_of_fold import OUT_OF_FOLD, draw_out_of_fold, seconds_per_case
from medseg.runs.settings import TrainingSettings
from medseg.runs.train import merge_failures

_MARGIN = 1.2  # for pictures, files and metrics


@dataclass(frozen=True, slots=True)
class MeasuredFolds:
    """Numbers of the training cases out of fold.

    Attributes:
        contract: What was measured, and how.
        rows: Metrics per case and structure, fold after fold.
        spread: Spread of each metric over patients and between folds.
        masks: Name of the folder of the masks; None if the numbers are those of the folds' own validations.
        failures: Cases that could not be drawn or measured.
        warnings: Sentences for the person who started the training.
    """

    contract: EvaluationContract
    rows: tuple[CaseMetrics, ...]
    spread: tuple[FoldSpread, ...]
    masks: str | None
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def measure_folds(
    job: SegmentationJob,
    dataset: Path,
    settings: TrainingSettings,
    finished: Mapping[int, RunFolder],
    *,
    progress: Progress,
) -> MeasuredFolds:
    """Draw and measure the validation cases of the folds that are finished.

    If the masks cannot be drawn at all, as on a full disk, the numbers are those of the folds' own validations.

    Args:
        job: Segmentation training.
        dataset: Dataset of the training.
        settings: Choices of the training.
        finished: Folder of each fold that is finished, by its number.
        progress: Follows the work.
    """
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    manifest = assign_folds(manifest)
    folds = {case.case_id: case.fold for case in manifest.select("training") if case.fold in finished}
    cases = sorted(
        (case for case in manifest.cases if case.case_id in folds), key=lambda case: folds[case.case_id] or 0
    )
    contract = bound_contract(EvaluationContract(metrics=("dice", "iou")), manifest)
    masks: str | None = OUT_OF_FOLD
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    rows: list[CaseMetrics]
    try:
        drawn = draw_out_of_fold(
            [settings.out],
            dataset,
            out=settings.out / OUT_OF_FOLD,
            data_root=settings.data_root,
            device=settings.device,
            network=job.parts.network,
            progress=progress,
        )
        with progress.over_cases(len(cases), "out of fold: evaluate") as on_done:
            rows, failed = evaluate_cases(cases, manifest, root, masks=drawn.folder, contract=contract, on_done=on_done)
        undrawn = [one for one in drawn.failures if one.case_id in folds]  # those of a fold that failed go with it
        failures, warnings = merge_failures(failed, undrawn), drawn.warnings
    except CASE_ERRORS as error:
        masks = None
        rows = [row for fold in finished.values() for row in _validated(fold)]
        warnings = (f"the masks out of fold could not be drawn, so that the numbers are those of training: {error}",)
    patients = {case.case_id: case.patient_id for case in manifest.cases}
    numbers = {case_id: fold for case_id, fold in folds.items() if fold is not None}
    spread = fold_spread(rows, folds=numbers, patients=patients)
    return MeasuredFolds(contract, tuple(rows), tuple(spread), masks, failures, warnings)


def drawing_seconds(
    run: Path, job: SegmentationJob, settings: TrainingSettings, *, cases: Sequence[Case], root: Path
) -> float:
    """Seconds that drawing and measuring all cases out of fold takes about; 0 if that cannot be tried."""
    try:
        model = load_model(run, device=torch_device(settings.device), build=job.parts.network)
        return _MARGIN * len(cases) * seconds_per_case(model, cases, root)
    except CASE_ERRORS:
        return 0.0


def _validated(fold: RunFolder) -> list[CaseMetrics]:
    """Numbers of a fold's own last validation."""
    table = fold.validation.with_suffix(".csv")
    return list(read_metrics(table)) if table.is_file() else []  # the budget may have had no time for a case
