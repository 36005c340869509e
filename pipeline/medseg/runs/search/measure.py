"""The validation cases for which a short training had no time, so that trials are compared on all of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import nn

from medseg.cohort import run_cases
from medseg.evaluation.segmentation import read_metrics, write_metrics
from medseg.manifest import manifest_target
from medseg.networks import load_weights
from medseg.planning import Plan, load_plan
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.records import CaseMetrics, Failure
from medseg.runs.machine import threads, torch_device
from medseg.runs.progress import Progress
from medseg.runs.run_folder import RunFolder
from medseg.runs.search.settings import SearchSettings
from medseg.runs.training_cases import TrainingCases
from medseg.targets import VoxelTarget
from medseg.training.segmentation import SegmentationParts
from medseg.training.segmentation.validate import validate_volumes


def measure_rest(
    run: RunFolder,
    table: Path,
    *,
    cases: TrainingCases,
    settings: SearchSettings,
    parts: SegmentationParts,
    progress: Progress,
) -> tuple[Failure, ...]:
    """Measure what a training's last validation left out, and write one table of all validation cases.

    Args:
        run: Folder of the training, with the weights that it delivered.
        table: Target file.
        cases: Cases of the fold.
        settings: Choices of the search.
        parts: The user's own parts of the training.
        progress: Follows the work.

    Returns:
        Cases that could not be measured, with the reasons.
    """
    known = run.validation.with_suffix(".csv")
    rows = list(read_metrics(known)) if known.is_file() else []
    measured = {row.case_id for row in rows}
    left = [case for case in cases.validation if case.case_id not in measured]
    failures: tuple[Failure, ...] = ()
    if left:
        plan, device = load_plan(run.plan), torch_device(settings.device)
        prepared = prepare_cases(
            left,
            cases.manifest,
            cases.root,
            config=plan.preprocess,
            store=settings.store,
            executor=threads(settings.workers),
        )
        network = parts.build(plan.network).to(device)
        load_weights(network, run.model / "last.safetensors")
        measure = partial(
            _measure, network=network, plan=plan, target=manifest_target(cases.manifest), settings=settings
        )
        with progress.over_cases(len(prepared.cases), "measure") as on_done:
            done = run_cases(prepared.cases, measure, stage="measure", on_done=on_done)
        rows += [row for found in done.results for row in found]
        failures = (*prepared.failures, *done.failures)
    write_metrics(rows, table)
    return failures


def _measure(
    case: StoredCase, *, network: nn.Module, plan: Plan, target: VoxelTarget, settings: SearchSettings
) -> list[CaseMetrics]:
    return validate_volumes(
        network,
        [case],
        plan.inference,
        target=target,
        device=torch_device(settings.device),
        precision=plan.training.precision,
    )
