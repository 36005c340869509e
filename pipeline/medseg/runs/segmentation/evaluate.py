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
    asked = _Asked.of(dataset, settings)
    manifest, root, cases = asked.manifest, asked.root, asked.cases
    reader = SecondReader.of(settings.rater, cases, masks=settings.masks) if settings.rater else None
    sent = send_earlier(folder, settings.tracking)  # the training of these masks may be among it
    run = start_evaluation(
        settings.tracking, manifest, out=folder, fold=settings.fold, split=settings.split, models=asked.models
    )
    with recorded(run):
        rows, failures, raters = asked.measure(progress)
        inter_rater = (
            reader.measure(rows, manifest, root, contract=asked.contract, metrics=settings.metrics, progress=progress)
            if reader
            else None
        )
        head = evaluate_head(asked.record, asked.every, manifest, root, folder=folder)
        result = asked.result(rows, failures, inter_rater=inter_rater, raters=raters, head=head)
        files = asked.write_tables(result, run)
        pictures, undrawn = _draw(rows, cases, manifest, root, settings)
        result = replace(result, warnings=(*result.warnings, *undrawn))
        if run is not None:
            _log(run, settings, manifest, cases, result, files, pictures, asked.record)
    return replace(result, warnings=(*result.warnings, *sent, *unsent(run, folder)))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is evaluated.

    Attributes:
        settings: Choices.
        manifest: Dataset.
        root: Data root.
        contract: Rules of the metrics, with the manifest's labels.
        record: Record of the prediction; None of masks from elsewhere.
        every: Cases that are asked for, those without a label among them where a head found classes.
        cases: Cases whose masks are measured.
    """

    settings: EvaluateSettings
    manifest: Manifest
    root: Path
    contract: EvaluationContract
    record: PredictionRecord | None
    every: tuple[Case, ...]
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, dataset: Path, settings: EvaluateSettings) -> _Asked:
        """Read dataset, contract and record."""
        manifest, root = load_manifest(dataset, data_root=settings.data_root)
        contract = _contract_of(settings, manifest)
        record = load_record(settings.masks)
        every = select_cases(manifest, fold=settings.fold, split=settings.split, is_labelled=not has_head(record))
        cases = tuple(case for case in every if not (has_head(record) and is_for_head_alone(case)))
        check_own_metrics(cases, settings.metrics)
        return cls(settings, manifest, root, contract, record, every, cases)

    @property
    def models(self) -> tuple[Any, ...]:
        """Models that drew the masks, as the prediction recorded them."""
        return tuple(self.record.models) if self.record else ()

    @property
    def patients(self) -> dict[str, str]:
        """Patient of each case."""
        return {case.case_id: case.patient_id for case in self.cases}

    def measure(self, progress: Progress) -> tuple[list[CaseMetrics], list[Failure], RaterAgreement | None]:
        """Metrics of every case, cases that failed, and how several raters of the dataset agree."""
        settings = self.settings
        read = [self.root, settings.masks]
        with case_executor(settings.cluster, here=SERIAL, out=settings.out, folders=read) as executor:
            with progress.over_cases(len(self.cases), "evaluate") as on_done:
                rows, failures = evaluate_cases(
                    self.cases,
                    self.manifest,
                    self.root,
                    masks=settings.masks,
                    contract=self.contract,
                    metrics=settings.metrics,
                    executor=executor,
                    on_done=on_done,
                )
            agreed = measure_agreement(
                rows,
                self.cases,
                self.manifest,
                self.root,
                masks=settings.masks,
                contract=self.contract,
                metrics=settings.metrics,
                executor=executor,
                progress=progress,
            )
        return (with_raters_dice(rows, agreed.pairs) if agreed else rows), failures, agreed

    def result(
        self,
        rows: list[CaseMetrics],
        failures: list[Failure],
        *,
        inter_rater: InterRater | None,
        raters: RaterAgreement | None,
        head: DeliveredHead | None,
    ) -> EvaluateResult:
        """The numbers over all cases, and what their reader must know."""
        summary = summarise(rows, patients=self.patients)
        power = quality_power(rows, self.record, bound=self.settings.dice_bound, patients=self.patients)
        warnings = (
            *_said(self.trained_on(rows), inter_rater),
            *undecided_text(self.cases, rows),
            *ignored_text(rows, is_fused=any(case.is_fused for case in self.cases)),
        )
        return EvaluateResult(
            self.settings.out,
            self.contract,
            tuple(rows),
            summary,
            power,
            tuple(failures),
            warnings,
            inter_rater=inter_rater,
            raters=raters,
            head=head,
        )

    def trained_on(self, rows: Sequence[CaseMetrics]) -> Sequence[str]:
        """Measured cases whose patients a model was trained on."""
        return flattered_cases(self.record, self.manifest, {row.case_id for row in rows})

    def write_tables(self, result: EvaluateResult, run: TrackedRun | None) -> tuple[Path, ...]:
        """Write the tables and `summary.json`, and return them."""
        folder, rows, patients, manifest = result.folder, list(result.rows), self.patients, self.manifest
        files = [folder / "metrics.csv", folder / "summary.json"]
        write_metrics(rows, files[0])
        if result.inter_rater:
            files.append(folder / "rater.csv")
            write_metrics(result.inter_rater.rows, files[-1])
        if result.raters:
            files.append(folder / "raters.csv")
            write_rater_pairs(result.raters.pairs, files[-1])
        notes: dict[str, Any] = {
            "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
            **model_notes(self.models),
            "cost": _cost(self.record, rows),
            "patients": {row.case_id: patients[row.case_id] for row in rows},
            "subgroups": [asdict(entry) for entry in subgroups(rows, self.cases)],
            "trained_on": self.trained_on(rows),
            "quality": result.power.content() if result.power else None,
            **ignored_note(rows),
            "inter_rater": result.inter_rater.content() if result.inter_rater else None,
            **({"raters": result.raters.content()} if result.raters else {}),
            "mlflow_run_id": run.run_id if run else None,
        }
        write_summary(result.summary, files[1], contract=self.contract, failures=list(result.failures), notes=notes)
        return tuple(files)


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
