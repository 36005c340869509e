"""Masks measured against labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from medseg.evaluation.segmentation import (
    EvaluationContract,
    Metric,
    Summary,
    bound_contract,
    evaluate_cases,
    find_mask,
    load_contract,
    scoped_metrics,
    subgroups,
    summarise,
    write_metrics,
    write_summary,
)
from medseg.inference import PredictionRecord, load_record
from medseg.manifest import load_manifest, manifest_digest, select_cases
from medseg.records import Case, CaseMetrics, Failure, Manifest, Split
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.seen import seen_in_training
from medseg.runs.segmentation.overlays import save_overlays
from medseg.runs.segmentation.quality_power import QualityPower, quality_power
from medseg.runs.tracking import Tracking, log_cases, log_masks, recorded, start_tracking, unsent
from medseg.scans import read_label
from medseg.tracking import TrackedRun

_DRAWN_WORST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings:
    """Choices of an evaluation.

    Attributes:
        masks: Folder that a prediction wrote.
        out: Folder of the tables, new or empty.
        fold: Fold whose validation cases are measured.
        split: Split that is measured; all labelled cases if neither is given.
        dice_bound: Mean Dice below which a mask counts as failed, where a classifier has checked the masks.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        contract: YAML of what is measured and how, or the contract itself; the default contract if not given.
        metrics: Metrics of your own by name, beside those of the contract.
        tracking: MLflow store.
    """

    masks: Path
    out: Path
    fold: int | None = None
    split: Split | None = None
    dice_bound: float = 0.8
    data_root: Path | None = None
    contract: Path | EvaluationContract | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    tracking: Tracking = field(default_factory=Tracking)


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """Measured masks.

    Attributes:
        folder: Folder of `metrics.csv`, `summary.json` and the overlays.
        contract: What was measured, and how.
        rows: Metrics per case and structure.
        summary: Means with intervals; its text is a table.
        power: How well a classifier's disagreement finds failed masks; None where no classifier has checked them.
        failures: Cases that could not be measured, with the reasons.
        warnings: Sentences for the person who started the evaluation.
    """

    folder: Path
    contract: EvaluationContract
    rows: tuple[CaseMetrics, ...]
    summary: Summary
    power: QualityPower | None
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def evaluate_masks(dataset: Path, settings: EvaluateSettings, *, progress: Progress | None = None) -> EvaluateResult:
    """Measure every case on its scan's own grid, and write and log tables and pictures.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset or the contract cannot be used, or the output folder holds something.
    """
    folder = check_empty(settings.out)
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    contract = bound_contract(_contract_of(settings), manifest)
    cases = select_cases(manifest, fold=settings.fold, split=settings.split, is_labelled=True)
    record = load_record(settings.masks)
    run = _start_run(settings, manifest, record)
    with recorded(run):
        with (progress or Silence()).over_cases(len(cases), "evaluate") as on_done:
            rows, failures = evaluate_cases(
                cases,
                manifest,
                root,
                masks=settings.masks,
                contract=contract,
                metrics=settings.metrics,
                on_done=on_done,
            )
        seen = seen_in_training(record.model.trained_on if record else (), manifest, {row.case_id for row in rows})
        patients = {case.case_id: case.patient_id for case in cases}
        summary = summarise(rows, patients=patients)
        power = quality_power(rows, record, bound=settings.dice_bound, patients=patients)
        files = (folder / "metrics.csv", folder / "summary.json")
        write_metrics(rows, files[0])
        notes: dict[str, Any] = {
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            "model": record.model.model_dump(mode="json", exclude={"trained_on"}) if record else None,
            "cost": _cost(record, rows),
            "patients": {row.case_id: patients[row.case_id] for row in rows},
            "subgroups": [asdict(entry) for entry in subgroups(rows, cases)],
            "trained_on": seen,
            "quality": power.content() if power else None,
        }
        write_summary(summary, files[1], contract=contract, failures=failures, notes=notes)
        pictures, warnings = save_overlays(
            rows,
            cases,
            manifest,
            root,
            folder=folder / "overlays",
            mask_of=lambda case_id, scan: read_label(find_mask(settings.masks, case_id), case_id=case_id)[0],
            worst=_DRAWN_WORST,
        )
        if seen:
            warning = f"the model was trained on patients of {len(seen)} of these cases; their numbers flatter it"
            warnings = (warning, *warnings)
        result = EvaluateResult(folder, contract, tuple(rows), summary, power, tuple(failures), warnings)
        if run is not None:
            _log(run, settings, manifest, cases, result, files, pictures)
    return replace(result, warnings=(*result.warnings, *unsent(run)))


def _contract_of(settings: EvaluateSettings) -> EvaluationContract:
    """The contract that the settings give, read from its file."""
    given = settings.contract
    return load_contract(given) if isinstance(given, Path) else given or EvaluationContract()


def _cost(record: PredictionRecord | None, rows: Sequence[CaseMetrics]) -> dict[str, Any] | None:
    """What a mask of these cases cost; None for masks from elsewhere."""
    measured = {row.case_id for row in rows}
    cases = [case for case in record.cases if case.case_id in measured] if record else []
    if not cases:
        return None
    return {
        "seconds_per_case": fmean(case.seconds for case in cases),
        "peak_memory_bytes": max(case.peak_memory_bytes for case in cases),
    }


def _start_run(settings: EvaluateSettings, manifest: Manifest, record: PredictionRecord | None) -> TrackedRun | None:
    """An MLflow run of this evaluation, tagged with the model that drew the masks."""
    what = f"fold {settings.fold}" if settings.fold is not None else settings.split or "all cases"
    name = f"evaluate {settings.out.resolve().name}, {what}"
    tags = {"medseg.model_plan_digest": record.model.plan_digest} if record else {}
    return start_tracking(settings.tracking, manifest, stage="evaluate", name=name, tags=tags)


def _scope(settings: EvaluateSettings) -> str:
    """First part of the metrics' names: validation and test cases are never mixed."""
    if settings.split == "test":
        return "test"
    return "val" if settings.fold is not None else settings.split or "all"


def _description(manifest: Manifest, result: EvaluateResult) -> str:
    """What was measured and what came out, in Markdown."""
    parts = [
        (
            f"Masks of **{manifest.name}**, {result.summary.cases} cases, {len(result.failures)} failed; contract "
            f"`{result.contract.digest}`."
        ),
        f"```\n{result.summary}\n```",
        (
            "Every case and metric is in `metrics.csv`, the contract in `summary.json`, pictures are in `overlays`. "
            "`medseg compare` holds evaluations against each other."
        ),
    ]
    return "\n\n".join(parts)


def _log(
    run: TrackedRun,
    settings: EvaluateSettings,
    manifest: Manifest,
    cases: tuple[Case, ...],
    result: EvaluateResult,
    files: tuple[Path, ...],
    pictures: list[Path],
) -> None:
    """Parameters, numbers, tables and pictures of the MLflow run."""
    run.begin(spool_of(result.folder))
    counts = {"cases": len(cases), "failed_cases": len(result.failures)}
    run.log_parameters({"fold": settings.fold, "split": settings.split, **counts})
    run.log_parameters({"contract": result.contract.digest})
    log_cases(run, manifest, evaluation=cases)
    run.log_metrics(scoped_metrics(result.summary, _scope(settings)))
    run.describe(_description(manifest, result))
    run.log_metrics({"quality_auroc": result.power.found.auroc} if result.power else {})
    log_masks(run, result.rows, files=files, pictures=pictures, table="cases.json")
