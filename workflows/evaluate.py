"""medseg evaluate: compare masks with labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from medseg.workflows import options

if TYPE_CHECKING:
    from medseg.inference import PredictionRecord
    from medseg.records import Manifest
    from medseg.tracking import TrackedRun

EPILOG = """\b
Example:
  medseg evaluate data/dataset.json --masks masks --fold 0 --out evaluation
"""


@click.command("evaluate", epilog=EPILOG)
@click.argument("dataset", type=options.FILE)
@click.option("--masks", type=options.FILE, required=True, help="Folder that `medseg predict` wrote.")
@click.option("--out", "folder", type=options.FOLDER, required=True, help="Folder of the tables; new or empty.")
@click.option("--fold", type=click.IntRange(0), help="Only this fold's validation cases.")
@click.option(
    "--split", type=click.Choice(["training", "test"]), help="Only this split.  [default: all cases with labels]"
)
@click.option(
    "--dice-bound",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="A mask with a mean Dice below it counts as failed, where a classifier has checked the masks.",
)
@options.data_root
@options.tracking
def command(
    dataset: Path,
    masks: Path,
    folder: Path,
    fold: int | None,
    split: Any,
    dice_bound: float,
    data_root: Path | None,
    tracking_uri: str | None,
    no_tracking: bool,
) -> None:
    """Measure the masks of DATASET's cases on the scans' own grids; every case asked for needs a mask."""
    from medseg.errors import ManifestError
    from medseg.evaluation.segmentation import (
        evaluate_cases,
        find_mask,
        summarise,
        volume_metrics,
        write_metrics,
        write_summary,
    )
    from medseg.inference import load_record
    from medseg.manifest import assign_folds, load_manifest, manifest_digest, split_fold
    from medseg.scans import read_label
    from medseg.workflows.console import counting, empty_folder, print_summary, report_failures
    from medseg.workflows.quality_power import print_power, quality_power
    from medseg.workflows.results import save_overlays, track_results

    empty_folder(folder)
    manifest, root = load_manifest(dataset, data_root=data_root)
    if fold is not None:
        _, cases = split_fold(assign_folds(manifest), fold)
    else:
        cases = tuple(case for case in manifest.cases if case.label and split in (None, case.split))
    if not cases:
        raise ManifestError(
            f"manifest {manifest.name}: must have labelled cases to evaluate, got none; choose another --split"
        )
    with counting(len(cases), "evaluate") as on_done:
        rows, failures = evaluate_cases(cases, manifest, root, masks=masks, on_done=on_done)
    record = load_record(masks)
    seen = _trained_on(record, manifest, {row.case_id for row in rows})
    if seen:
        click.echo(
            f"warning: the model was trained on patients of {len(seen)} of these cases; their numbers flatter it",
            err=True,
        )
    patients = {case.case_id: case.patient_id for case in cases}
    summary = summarise(rows, patients=patients)
    write_metrics(rows, folder / "metrics.csv")
    power = quality_power(rows, record, bound=dice_bound, patients=patients)
    write_summary(summary, folder / "summary.json", failures=failures, notes={"trained_on": seen, "quality": power})
    print_summary(summary)
    print_power(power)
    pictures = save_overlays(
        rows,
        cases,
        manifest,
        root,
        folder=folder / "overlays",
        mask_of=lambda case_id, scan: read_label(find_mask(masks, case_id), case_id=case_id)[0],
    )
    if not no_tracking:
        notes = {"fold": fold, "split": split, "cases": len(cases), "failed_cases": len(failures)}
        files = (folder / "metrics.csv", folder / "summary.json")
        run = _start_run(manifest, record, fold=fold, split=split, tracking_uri=tracking_uri)
        with run.recording(system_metrics=False):
            run.log_parameters(notes)
            facts = {"cases": len(cases), "labels": manifest.labels}
            run.log_dataset(name=manifest.name, digest=manifest_digest(manifest), context="evaluation", facts=facts)
            run.log_metrics(volume_metrics(summary))
            run.log_metrics({"quality_auroc": power["auroc"]} if power else {})
            track_results(run, rows, files=files, pictures=pictures, table="cases.json")
    click.echo(f"tables and pictures in {folder}")
    report_failures(failures)


def _start_run(
    manifest: Manifest, record: PredictionRecord | None, *, fold: int | None, split: Any, tracking_uri: str | None
) -> TrackedRun:
    """An MLflow run of this evaluation, tagged with the model that drew the masks."""
    from medseg.manifest import manifest_digest
    from medseg.tracking import TrackedRun

    tags = {
        "medseg.stage": "evaluate",
        "mlflow.source.name": "medseg evaluate",
        "medseg.manifest_digest": manifest_digest(manifest),
        **({"medseg.model_plan_digest": record.model.plan_digest} if record else {}),
    }
    name = f"evaluate fold {fold}" if fold is not None else f"evaluate {split or 'all'}"
    return TrackedRun.start(experiment=manifest.name, name=name, tracking_uri=tracking_uri, tags=tags)


def _trained_on(record: PredictionRecord | None, manifest: Manifest, evaluated: set[str]) -> list[str]:
    """Evaluated cases of patients on whom the predicting model had been trained."""
    known = set(record.model.trained_on) if record else set()
    patients = {case.patient_id for case in manifest.cases if case.case_id in known}
    return [case.case_id for case in manifest.cases if case.case_id in evaluated and case.patient_id in patients]


if __name__ == "__main__":
    from medseg.workflows.cli import run_command

    run_command(command)
