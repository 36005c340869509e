"""Predicted quantities measured against their references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from medseg.cohort import SERIAL
from medseg.delivery.regression import QuantityReport, ShownPicture, save_quantity_page
from medseg.errors import ManifestError
from medseg.evaluation.regression import (
    ALL,
    MeasuredQuantities,
    QuantitiesSummary,
    QuantityContract,
    QuantityMetrics,
    evaluate_quantity_cases,
    load_quantity_contract,
    quantity_columns,
    scoped_quantity_metrics,
    summarise_quantities,
    unknown_note,
    unknown_text,
    write_dose_curves,
    write_dose_points,
    write_quantity_metrics,
    write_quantity_summary,
)
from medseg.inference.regression import ValueRecord, load_value_record
from medseg.manifest import load_manifest, manifest_digest, select_cases
from medseg.records import Case, Failure, Manifest, Split
from medseg.runs.cluster import case_executor
from medseg.runs.describe import shortened
from medseg.runs.evaluated_models import measured_model, model_notes, start_evaluation
from medseg.runs.progress import Progress, Silence
from medseg.runs.regression.evaluated_pictures import draw_evaluation
from medseg.runs.run_folder import check_empty, spool_of
from medseg.runs.seen import seen_in_training
from medseg.runs.tracking import (
    Tracking,
    cases_text,
    log_cases,
    log_measured,
    log_results,
    recorded,
    scope_of,
    send_earlier,
    unsent,
)
from medseg.tracking import TrackedRun

PAGE_NAME = "index.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityEvaluateSettings:
    """Choices of an evaluation of quantities.

    Attributes:
        maps: Folder that a prediction wrote, or one of `<quantity>/<case_id>.nii.gz`.
        out: Folder of the tables, pictures and page, new or empty.
        fold: Fold whose validation cases are measured.
        split: Split that is measured; all cases with references if neither is given.
        data_root: Folder that the manifest's paths are relative to; its own folder if not given.
        contract: YAML of what is measured and how, or the contract itself; the default contract if not given.
        tracking: MLflow store.
        cluster: Cluster that measures the cases: `local`, `auto`, or host and port of its head; this process if not
            given.
    """

    maps: Path
    out: Path
    fold: int | None = None
    split: Split | None = None
    data_root: Path | None = None
    contract: Path | QuantityContract | None = None
    tracking: Tracking = field(default_factory=Tracking)
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class QuantityEvaluation:
    """Measured quantities.

    Attributes:
        folder: Folder of `metrics.csv`, `summary.json`, `index.html` and the pictures; of a dose also `dvh.csv` and
            `dvh_curves.csv`.
        contract: What was measured, and how.
        rows: Metrics per case, quantity and part.
        summary: Means with intervals; its text is a table.
        failures: Cases that could not be measured, with the reasons.
        warnings: Sentences for the person who started the evaluation.
    """

    folder: Path
    contract: QuantityContract
    rows: tuple[QuantityMetrics, ...]
    summary: QuantitiesSummary
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def evaluate_quantities(
    dataset: Path, settings: QuantityEvaluateSettings, *, progress: Progress | None = None
) -> QuantityEvaluation:
    """Measure every case on its scan's own grid, and write and log tables, pictures and a page.

    Args:
        dataset: A `dataset.json` of a regression, or the folder that holds one.
        settings: Choices.
        progress: Follows the work; nothing if not given.

    Raises:
        PipelineError: If the dataset, the contract or the record of the predictions cannot be used, or the output
            folder holds something.
    """
    folder = check_empty(settings.out)
    progress = progress or Silence()
    manifest, root = load_manifest(dataset, data_root=settings.data_root)
    check_structure_names(manifest)
    contract = _contract_of(settings)
    cases = select_cases(manifest, fold=settings.fold, split=settings.split, is_labelled=True)
    record = load_value_record(settings.maps)
    models = record.models if record else ()
    sent = send_earlier(settings.out, settings.tracking)  # the training of these predictions may be among it
    run = start_evaluation(
        settings.tracking, manifest, out=settings.out, fold=settings.fold, split=settings.split, models=models
    )
    with recorded(run):
        with (
            case_executor(settings.cluster, here=SERIAL, out=folder, folders=[root, settings.maps]) as executor,
            progress.over_cases(len(cases), "evaluate") as on_done,
        ):
            found = evaluate_quantity_cases(
                cases, manifest, root, maps=settings.maps, contract=contract, executor=executor, on_done=on_done
            )
        rows = found.rows
        summary = summarise_quantities(rows, patients={case.case_id: case.patient_id for case in cases})
        trained_on = [case_id for model in models for case_id in model.trained_on]
        seen = seen_in_training(trained_on, manifest, {row.case_id for row in rows})
        files = _write_tables(folder, found, cases, manifest, summary, contract, record, seen, run)
        pictures, undrawn = draw_evaluation(rows, cases, manifest, root, maps=settings.maps, folder=folder)
        warnings = (*_warnings(found, manifest, seen), *undrawn)
        result = QuantityEvaluation(folder, contract, rows, summary, found.failures, warnings)
        save_quantity_page(_report(result, manifest, settings, record, pictures), folder / PAGE_NAME)
        if run is not None:
            _log(run, settings, manifest, cases, result, [*files, folder / PAGE_NAME], pictures, record)
    return replace(result, warnings=(*result.warnings, *sent, *unsent(run, settings.out)))


def check_structure_names(manifest: Manifest) -> None:
    """Refuse a structure whose numbers could be taken for those of the whole scan.

    Raises:
        ManifestError: If there is one.
    """
    if ALL in {*manifest.foreground, *(manifest.regions or {})}:
        raise ManifestError(
            f"manifest {manifest.name}: structures of a regression must not be called {ALL!r}, which is every voxel",
            remedy="rename the label or region",
        )


def _contract_of(settings: QuantityEvaluateSettings) -> QuantityContract:
    given = settings.contract
    return load_quantity_contract(given) if isinstance(given, Path) else given or QuantityContract()


def _write_tables(
    folder: Path,
    found: MeasuredQuantities,
    cases: Sequence[Case],
    manifest: Manifest,
    summary: QuantitiesSummary,
    contract: QuantityContract,
    record: ValueRecord | None,
    seen: Sequence[str],
    run: TrackedRun | None,
) -> list[Path]:
    """Write the tables and the summary, and give their paths."""
    files = [folder / "metrics.csv", folder / "summary.json"]
    write_quantity_metrics(found.rows, files[0])
    if any(row.dose is not None for row in found.rows):
        files += [folder / "dvh.csv", folder / "dvh_curves.csv"]
        write_dose_points(found.rows, files[2])
        write_dose_curves(found.rows, files[3])
    patients = {case.case_id: case.patient_id for case in cases}
    measured = dict.fromkeys(row.case_id for row in found.rows)
    notes: dict[str, Any] = {
        "dataset": {"name": manifest.name, "version": manifest.version, "digest": manifest_digest(manifest)},
        **model_notes(record.models if record else ()),
        "cost": _cost(record, measured),
        "patients": {case_id: patients[case_id] for case_id in measured},
        "trained_on": list(seen),
        "without_unit": found.without_unit,
        **unknown_note(found.rows),
        "mlflow_run_id": run.run_id if run else None,
    }
    write_quantity_summary(
        summary,
        files[1],
        contract=contract,
        quantities=manifest.quantities or {},
        failures=found.failures,
        notes=notes,
    )
    return files


def _cost(record: ValueRecord | None, measured: dict[str, None]) -> dict[str, float] | None:
    """What the prediction of these cases cost; None for values from elsewhere."""
    cases = [case for case in record.cases if case.case_id in measured] if record else []
    return {"seconds_per_case": fmean(case.seconds for case in cases)} if cases else None


def _warnings(found: MeasuredQuantities, manifest: Manifest, seen: Sequence[str]) -> list[str]:
    """What a reader of the numbers must know."""
    units = {name: quantity.unit for name, quantity in (manifest.quantities or {}).items()}
    said = [
        f"the files of {name} of {len(ids)} case(s) say no unit; their values are taken for {units[name]}"
        for name, ids in found.without_unit.items()
    ]
    if seen:
        said.append(f"the model was trained on patients of {len(seen)} of these cases; their numbers flatter it")
    return [*said, *unknown_text(found.rows)]


def _report(
    result: QuantityEvaluation,
    manifest: Manifest,
    settings: QuantityEvaluateSettings,
    record: ValueRecord | None,
    pictures: Sequence[ShownPicture],
) -> QuantityReport:
    facts = []
    for name, quantity in (manifest.quantities or {}).items():
        prescribed = f", prescribed {quantity.prescription:g}" if quantity.prescription else ""
        facts.append(f"{name} in {quantity.unit}{prescribed}.")
    for model in record.models if record else ():
        facts.append(f"Model of {model.dataset}, run {model.run_id}, weights {(model.weights_digest or '')[:12]}.")
    facts.append(f"Contract {result.contract.digest}.")
    return QuantityReport(
        dataset=manifest.name,
        cases=cases_text(settings.fold, settings.split),
        facts=tuple(facts),
        summary=result.summary,
        failures=result.failures,
        warnings=result.warnings,
        pictures=tuple(pictures),
    )


def _log(
    run: TrackedRun,
    settings: QuantityEvaluateSettings,
    manifest: Manifest,
    cases: Sequence[Case],
    result: QuantityEvaluation,
    files: Sequence[Path],
    pictures: Sequence[ShownPicture],
    record: ValueRecord | None,
) -> None:
    """Parameters, numbers, tables and pictures of the MLflow run."""
    run.begin(spool_of(result.folder))
    counts = {"cases": len(cases), "failed_cases": len(result.failures)}
    run.log_parameters({"fold": settings.fold, "split": settings.split, **counts, "contract": result.contract.digest})
    log_cases(run, manifest, evaluation=cases)
    values = scoped_quantity_metrics(result.summary, scope_of(settings.fold, settings.split))
    log_measured(run, values, measured_model(manifest, record.models if record else ()))
    for name, note in unknown_note(result.rows).get("unknown", {}).items():
        run.log_metrics({f"unknown_share/{name}": note["mean_share"]})
    run.describe(_description(manifest, result))
    columns = quantity_columns(result.rows) if result.rows else {}
    log_results(run, columns, files=files, pictures=[one.path for one in pictures], table="cases.json")


def _description(manifest: Manifest, result: QuantityEvaluation) -> str:
    """What was measured and what came out, in Markdown."""
    parts = [
        (
            f"Quantities of **{manifest.name}**, {result.summary.cases} cases, {len(result.failures)} failed; contract "
            f"`{result.contract.digest}`."
        ),
        "\n".join(["```", shortened(str(result.summary)), "```"]),
        f"Every case and metric is in `metrics.csv`, the contract in `summary.json`; `{PAGE_NAME}` shows the cases.",
    ]
    return "\n\n".join(parts)
