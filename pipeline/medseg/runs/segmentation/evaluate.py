"""Masks measured against labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from medseg.cohort import SERIAL
from medseg.errors import ConfigError
from medseg.evaluation.regression import QuantityContract
from medseg.evaluation.segmentation import (
    EvaluationContract,
    InterRater,
    Metric,
    RaterAgreement,
    Summary,
    bound_contract,
    evaluate_cases,
    find_mask,
    ignored_note,
    ignored_share,
    ignored_text,
    load_contract,
    scoped_metrics,
    subgroups,
    summarise,
    with_raters_dice,
    write_metrics,
    write_rater_pairs,
    write_summary,
)
from medseg.inference import PredictionRecord, load_record
from medseg.manifest import load_manifest, manifest_digest, select_cases
from medseg.records import Case, CaseMetrics, Failure, Manifest, Split
from medseg.runs.cluster import case_executor
from medseg.runs.describe import shortened
from medseg.runs.evaluated_models import measured_model, model_notes, start_evaluation
from medseg.runs.progress import Progress, Silence
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.seen import flattered_cases
from medseg.runs.segmentation.head.evaluate import evaluate_head, has_head, is_for_head_alone
from medseg.runs.segmentation.head.measured import DeliveredHead, log_head
from medseg.runs.segmentation.overlays import save_overlays
from medseg.runs.segmentation.quality_power import QualityPower, quality_power
from medseg.runs.segmentation.rater_agreement import (
    agreement_metrics,
    check_own_metrics,
    measure_agreement,
    undecided_text,
)
from medseg.runs.segmentation.second_reader import SecondReader
from medseg.runs.tracking import (
    Tracking,
    log_cases,
    log_masks,
    log_measured,
    recorded,
    scope_of,
    send_earlier,
    unsent,
)
from medseg.scans import read_label
from medseg.tracking import TrackedRun

_DRAWN_WORST = 6
_DRAWN_STRUCTURES = 6


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
        contract: YAML of what is measured and how, or the contract itself; the default contract if not given. That of
            quantities is for a dataset of a regression.
        metrics: Metrics of your own by name, beside those of the contract.
        rater: Folder of a second reader's labels, named like masks, whose agreement is shown beside the model's.
        tracking: MLflow store.
        cluster: Cluster that measures the masks: `local`, `auto`, or host and port of its head; this process if not
            given.
    """

    masks: Path
    out: Path
    fold: int | None = None
    split: Split | None = None
    dice_bound: float = 0.8
    data_root: Path | None = None
    contract: Path | EvaluationContract | QuantityContract | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    rater: Path | None = None
    tracking: Tracking = field(default_factory=Tracking)
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluateResult:
    """Measured masks.

    Attributes:
        folder: Folder of `metrics.csv`, `summary.json` and the overlays; of `rater.csv` with a second reader, and of
            `raters.csv` where the dataset has several raters.
        contract: What was measured, and how.
        rows: Metrics per case and structure.
        summary: Means with intervals; its text is a table.
        power: How well a classifier's disagreement finds failed masks; None where no classifier has checked them.
        failures: Cases that could not be measured, with the reasons.
        warnings: Sentences for the person who started the evaluation.
        inter_rater: Agreement of the readers beside that of the model; None without a second reader.
        raters: Agreement of the dataset's raters, and of the model with each; None where no case has several.
        head: Classes that the model found beside the masks, measured; None for masks alone.
    """

    folder: Path
    contract: EvaluationContract
    rows: tuple[CaseMetrics, ...]
    summary: Summary
    power: QualityPower | None
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]
    inter_rater: InterRater | None = None
    raters: RaterAgreement | None = None
    head: DeliveredHead | None = None


def evaluate_masks(dataset: Path, settings: EvaluateSettings, *, progress: Progress | None = None) -> EvaluateResult:
    """Measure every case on its scan's own grid, and write and log tables and pictures.

    Args:
        dataset: A `dataset.json` or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset, the contract or the second reader's folder cannot be used, or the output folder
            holds something.
    """
    folder = check_empty(settings.out)
    progress = progress or Silence()
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    contract = _contract_of(settings, manifest)
    record = load_record(settings.masks)
    every = select_cases(manifest, fold=settings.fold, split=settings.split, is_labelled=not has_head(record))
    cases = tuple(case for case in every if not (has_head(record) and is_for_head_alone(case)))
    check_own_metrics(cases, settings.metrics)
    reader = SecondReader.of(settings.rater, cases, masks=settings.masks) if settings.rater else None
    sent = send_earlier(settings.out, settings.tracking)  # the training of these masks may be among it
    models = record.models if record else ()
    run = start_evaluation(
        settings.tracking, manifest, out=settings.out, fold=settings.fold, split=settings.split, models=models
    )
    with recorded(run):
        read = [root, settings.masks]
        with case_executor(settings.cluster, here=SERIAL, out=folder, folders=read) as executor:
            with progress.over_cases(len(cases), "evaluate") as on_done:
                rows, failures = evaluate_cases(
                    cases,
                    manifest,
                    root,
                    masks=settings.masks,
                    contract=contract,
                    metrics=settings.metrics,
                    executor=executor,
                    on_done=on_done,
                )
            agreed = measure_agreement(
                rows,
                cases,
                manifest,
                root,
                masks=settings.masks,
                contract=contract,
                metrics=settings.metrics,
                executor=executor,
                progress=progress,
            )
        rows = with_raters_dice(rows, agreed.pairs) if agreed else rows
        seen = flattered_cases(record, manifest, {row.case_id for row in rows})
        patients = {case.case_id: case.patient_id for case in cases}
        summary = summarise(rows, patients=patients)
        power = quality_power(rows, record, bound=settings.dice_bound, patients=patients)
        agreement = (
            reader.measure(rows, manifest, root, contract=contract, metrics=settings.metrics, progress=progress)
            if reader
            else None
        )
        head = evaluate_head(record, every, manifest, root, folder=folder)
        files = (
            folder / "metrics.csv",
            folder / "summary.json",
            *([folder / "rater.csv"] if agreement else []),
            *([folder / "raters.csv"] if agreed else []),
        )
        write_metrics(rows, files[0])
        if agreement:
            write_metrics(agreement.rows, folder / "rater.csv")
        if agreed:
            write_rater_pairs(agreed.pairs, folder / "raters.csv")
        notes: dict[str, Any] = {
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            **model_notes(models),
            "cost": _cost(record, rows),
            "patients": {row.case_id: patients[row.case_id] for row in rows},
            "subgroups": [asdict(entry) for entry in subgroups(rows, cases)],
            "trained_on": seen,
            "quality": power.content() if power else None,
            **ignored_note(rows),
            "inter_rater": agreement.content() if agreement else None,
            **({"raters": agreed.content()} if agreed else {}),
            "mlflow_run_id": run.run_id if run else None,
        }
        write_summary(summary, files[1], contract=contract, failures=failures, notes=notes)
        pictures, undrawn = _draw(rows, cases, manifest, root, settings)
        warnings = (
            *_said(seen, agreement),
            *undecided_text(cases, rows),
            *ignored_text(rows, is_fused=any(case.is_fused for case in cases)),
            *undrawn,
        )
        result = EvaluateResult(
            folder,
            contract,
            tuple(rows),
            summary,
            power,
            tuple(failures),
            warnings,
            inter_rater=agreement,
            raters=agreed,
            head=head,
        )
        if run is not None:
            _log(run, settings, manifest, cases, result, files, pictures, record)
    return replace(result, warnings=(*result.warnings, *sent, *unsent(run, settings.out)))


def _draw(
    rows: Sequence[CaseMetrics], cases: Sequence[Case], manifest: Manifest, root: Path, settings: EvaluateSettings
) -> tuple[list[Path], tuple[str, ...]]:
    """Pictures of the worst, median and best cases, and warnings about those that could not be drawn."""
    return save_overlays(
        rows,
        cases,
        manifest,
        root,
        folder=settings.out / "overlays",
        mask_of=lambda case_id, scan: read_label(find_mask(settings.masks, case_id), case_id=case_id)[0],
        worst=_DRAWN_WORST,
        structures=_DRAWN_STRUCTURES,
        errors=settings.out / "errors",
    )


def _said(seen: Sequence[str], agreement: InterRater | None) -> list[str]:
    """What a reader of the numbers must know."""
    said = []
    if agreement is not None and agreement.is_label_itself:
        said.append("the second reading is the label itself, voxel by voxel in every case: it says nothing of readers")
    if seen:
        said.append(f"the model was trained on patients of {len(seen)} of these cases; their numbers flatter it")
    return said


def _contract_of(settings: EvaluateSettings, manifest: Manifest) -> EvaluationContract:
    """The contract that the settings give, read from its file, with the manifest's labels.

    Raises:
        ConfigError: If it is of quantities, or does not fit the manifest.
    """
    given = settings.contract
    if isinstance(given, Path):
        return bound_contract(load_contract(given), manifest, source=f"contract {given}")
    if isinstance(given, QuantityContract):
        fact = "evaluate: contract must be of masks, as the dataset is, got one of quantities"
        raise ConfigError(fact, remedy="give an EvaluationContract, or leave it out")
    return bound_contract(given or EvaluationContract(), manifest)


def _cost(record: PredictionRecord | None, rows: Sequence[CaseMetrics]) -> dict[str, Any] | None:
    """What a mask of these cases cost; None for masks from elsewhere."""
    measured = {row.case_id for row in rows}
    cases = [case for case in record.cases if case.case_id in measured] if record else []
    if not cases:
        return None
    cost = record.model.cost if record and record.model else None
    return {
        "seconds_per_case": fmean(case.seconds for case in cases),
        "peak_memory_bytes": max(case.peak_memory_bytes for case in cases),
        "parameters": cost.parameters if cost else None,
        "multiply_adds_per_window": cost.multiply_adds_per_window if cost else None,
        "training_minutes": cost.training_s / 60 if cost else None,
    }


def _description(manifest: Manifest, result: EvaluateResult) -> str:
    """What was measured and what came out, in Markdown."""
    parts = [
        (
            f"Masks of **{manifest.name}**, {result.summary.cases} cases, {len(result.failures)} failed; contract "
            f"`{result.contract.digest}`."
        ),
        "\n".join(
            [
                "```",
                shortened(str(result.summary)),
                *([str(result.inter_rater)] if result.inter_rater else []),
                *([str(result.raters)] if result.raters else []),
                "```",
            ]
        ),
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
    record: PredictionRecord | None,
) -> None:
    """Parameters, numbers, tables and pictures of the MLflow run."""
    run.begin(spool_of(result.folder))
    counts = {"cases": len(cases), "failed_cases": len(result.failures)}
    run.log_parameters({"fold": settings.fold, "split": settings.split, **counts})
    run.log_parameters({"contract": result.contract.digest})
    log_cases(run, manifest, evaluation=cases)
    scope, measured = scope_of(settings.fold, settings.split), measured_model(manifest, record.models if record else ())
    log_measured(run, scoped_metrics(result.summary, scope), measured)
    run.describe(_description(manifest, result))
    run.log_metrics({"quality_auroc": result.power.found.auroc} if result.power else {})
    if ignored_note(result.rows):
        run.log_metrics({"ignored_share": ignored_share(result.rows)})
    if result.head is not None:
        log_head(run, result.head, scope=scope)
    if result.inter_rater is not None:
        run.log_metrics(scoped_metrics(result.inter_rater.summary, f"{scope}_second_reader"))
    if result.raters is not None:
        run.log_metrics(agreement_metrics(result.raters, scope))
    log_masks(run, result.rows, files=files, pictures=pictures, table="cases.json")
