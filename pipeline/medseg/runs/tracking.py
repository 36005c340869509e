"""How a run appears in MLflow: its experiment, name and tags, stated once."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg import __version__
from medseg.atomic import write_json
from medseg.errors import CheckpointError, TrackingError
from medseg.evaluation.segmentation import case_columns
from medseg.inference.card import QUANTITY_CARD
from medseg.inference.classification.card import CLASSIFIER_NAME
from medseg.inference.segmentation.card import CARD_NAME
from medseg.manifest import manifest_digest
from medseg.records import Case, CaseMetrics, Manifest
from medseg.runs.run_folder import RunFolder, RunRecord, spool_of
from medseg.tracking import (
    MeasuredModel,
    SentSpool,
    TrackedRun,
    attach_files,
    begun_at,
    is_passing,
    new_start_id,
    send_spool,
    working_commit,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where runs are logged.

    Attributes:
        uri: MLflow store; if not given, that of `MLFLOW_TRACKING_URI`, else SQLite in the working folder.
        is_on: Whether anything is logged.
        parent: MLflow run below which the UI shows the runs.
    """

    uri: str | None = None
    is_on: bool = True
    parent: str | None = None


def start_tracking(
    tracking: Tracking,
    manifest: Manifest,
    *,
    stage: str,
    name: str,
    tags: Mapping[str, str] | None = None,
    parent: str | None = None,
    noted_in: RunFolder | None = None,
) -> TrackedRun | None:
    """Start an MLflow run in the dataset's experiment, before any work; None without tracking.

    A store that does not answer does not stop the work: the run begins in it as soon as it does.

    Args:
        tracking: Store.
        manifest: Dataset that the run is about.
        stage: Command that the run is of, such as `classify train`.
        name: Name of the run.
        tags: Further tags.
        parent: MLflow run below which the UI shows this one, if the dataset's experiment holds it; that of `tracking`
            if not given.
        noted_in: Folder of a training, which keeps in mind that the run was asked for, so that a start that is killed
            and repeated finds it again.

    Raises:
        TrackingError: If the store cannot be used, and is not only silent.
    """
    if not tracking.is_on:
        return None
    common = {
        "medseg.version": __version__,
        "medseg.stage": stage,
        "mlflow.source.name": f"medseg {stage}",
        "medseg.manifest_digest": manifest_digest(manifest),
    }
    asked: dict[str, Any] = {
        "experiment": manifest.name,
        "name": name,
        "tracking_uri": tracking.uri,
        "tags": common | working_commit() | dict(tags or {}),
        "about": _about(manifest),
        "parent": parent or tracking.parent,
        "start_id": noted_in.start_id(new_start_id()) if noted_in else "",
    }
    try:
        return TrackedRun.start(**asked)
    except TrackingError as error:
        _check_passing(error)
        return TrackedRun.start_late(**asked)


def resume_tracking(run_id: str, *, uri: str) -> TrackedRun:
    """Continue an MLflow run, also one whose store does not answer now.

    Args:
        run_id: Id of the run.
        uri: MLflow store.

    Raises:
        MissingRunError: If the store answers and does not hold the run.
        TrackingError: If the store cannot be used.
    """
    try:
        return TrackedRun.resume(run_id, tracking_uri=uri)
    except TrackingError as error:
        _check_passing(error)
        return TrackedRun.resume_late(run_id, tracking_uri=uri)


def replacing(lost: str, run: TrackedRun | None) -> TrackedRun | None:
    """The new run, which takes over what is kept for a run that the store has lost."""
    if run is not None:
        run.replaces = lost
        _log.warning("the MLflow store does not hold run %s; the training goes on in a new run, %s", lost, run.run_id)
    return run


def _check_passing(error: TrackingError) -> None:
    """Raise the error of a store that will not come back by itself; of one that is silent, warn.

    Raises:
        TrackingError: If waiting is of no use.
    """
    if not is_passing(error):
        raise error
    _log.warning("%s; the work goes on, and what it logs is kept in its folder and sent when the store answers", error)


def cases_text(fold: int | None, split: str | None) -> str:
    """What an evaluation is of, for its name."""
    return f"fold {fold}" if fold is not None else split or "all cases"


def scope_of(fold: int | None, split: str | None) -> str:
    """First part of the names of an evaluation's metrics: validation and test cases are never mixed."""
    if split == "test":
        return "test"
    return "val" if fold is not None else split or "all"


def model_tags(plan_digest: str, *, run_id: str | None, weights_digest: str | None) -> dict[str, str]:
    """Tags by which an evaluation and its model find each other."""
    tags = {
        "medseg.model_plan_digest": plan_digest,
        "medseg.model_run_id": run_id,
        "medseg.model_weights_digest": weights_digest,
    }
    return {key: value for key, value in tags.items() if value}


def log_measured(run: TrackedRun, values: Mapping[str, float], measured: MeasuredModel) -> None:
    """Log the numbers of an evaluation, with the model that they are of, where its run and its weights are known."""
    is_known = bool(measured.run_id and measured.weights_digest)
    if is_known:
        run.use_model(measured)
    run.log_metrics(values, of=measured if is_known else None)


def _about(manifest: Manifest) -> str:
    """What the runs of an experiment are on, and what their metrics are."""
    patients = len({case.patient_id for case in manifest.cases})
    parts = [
        manifest.description or f"Dataset {manifest.name}.",
        (
            f"{len(manifest.cases)} cases of {patients} patients; channels {', '.join(manifest.channels)}; "
            f"{_learned(manifest)}."
        ),
        (
            "`volume_…` are means over whole validation cases on their own grids, `patch_…` those of patches. "
            "Evaluations stand under `val/…`, `test/…` and `all/…`."
        ),
    ]
    return "\n\n".join(parts)


def _learned(manifest: Manifest) -> str:
    """What networks learn from a dataset, in words."""
    if manifest.quantities:
        return "quantities " + ", ".join(f"{name} in {unit}" for name, unit in _units(manifest).items())
    regions = f"; regions {', '.join(manifest.regions)}" if manifest.regions else ""
    return f"labels {', '.join(manifest.foreground)}{regions}"


def _units(manifest: Manifest) -> dict[str, str]:
    """Unit of each quantity by name."""
    return {name: quantity.unit for name, quantity in (manifest.quantities or {}).items()}


def recorded(run: TrackedRun | None) -> AbstractContextManager[object]:
    """A context that keeps an MLflow run open round the work that it is about; nothing without tracking."""
    return run.recording(system_metrics=False) if run else nullcontext()


def unsent(run: TrackedRun | None, out: Path) -> tuple[str, ...]:
    """Warnings about what the store did not take; if it took everything, it is sent what earlier runs have kept.

    Args:
        run: MLflow run that has ended.
        out: Folder of the run.
    """
    if run is None:
        return ()
    return (run.kept,) if run.kept else send_earlier(out, Tracking())


def send_earlier(out: Path, tracking: Tracking) -> tuple[str, ...]:
    """Send what runs in folders beside an output folder have kept, each to its own store; a line for each that had.

    Args:
        out: Output folder.
        tracking: Store of the command; nothing is sent where it has none.
    """
    if not tracking.is_on:
        return ()
    said = []
    for spool in spools_in(out.resolve().parent, depth=1):
        try:
            sent = send_kept(spool, is_in_haste=True)
        except TrackingError as error:  # it is in use, or of a store that is silent
            if is_passing(error):
                break
            continue
        if sent.sent:
            said.append(f"what {spool.parent.name} had kept for MLflow was sent ({sent.sent} entries)")
    return tuple(said)


def spools_in(folder: Path, *, depth: int | None = None) -> list[Path]:
    """Files in folders within a folder that keep what a store does not have yet, in the order in which they began.

    Args:
        folder: Folder to look in.
        depth: How many folders deep; any if not given.
    """
    name = spool_of(folder).name
    found = folder.rglob(name) if depth is None else folder.glob(f"{'*/' * depth}{name}")
    return sorted(found, key=lambda path: (begun_at(path), path))  # a run before those that are shown below it


def send_kept(spool: Path, *, tracking_uri: str | None = None, is_in_haste: bool = False) -> SentSpool:
    """Send what a run kept, and note in its record and its model's card which MLflow run has its numbers.

    Raises:
        TrackingError: If it cannot be read or is in use, or the store cannot be used.
    """
    folder = RunFolder(spool.parent)
    before = _recorded_run(folder)
    sent = send_spool(spool, tracking_uri=tracking_uri, is_in_haste=is_in_haste)
    if before is not None and before.mlflow_run_id != sent.run_id:
        changed = {"mlflow_run_id": sent.run_id, "tracking_uri": sent.tracking_uri}
        folder.save_record(before.model_copy(update=changed))
        for card in (folder.model / CARD_NAME, folder.model / CLASSIFIER_NAME, folder.model / QUANTITY_CARD):
            if card.is_file():
                content = json.loads(card.read_text(encoding="utf-8"))
                write_json(card, content | {"mlflow_run_id": sent.run_id})
    return sent


def _recorded_run(folder: RunFolder) -> RunRecord | None:
    """The record of a training; None of an evaluation, which cannot be resumed, and of one that is damaged."""
    if not folder.record.is_file():
        return None
    try:
        return folder.load_record()
    except CheckpointError:
        return None


def attach_pages(run_id: str | None, pages: Sequence[Path], *, folder: str, tracking: Tracking) -> tuple[str, ...]:
    """Let the MLflow run that pages are about show them; a warning where that cannot be done.

    Args:
        run_id: MLflow run; None if there is none.
        pages: Pages and what belongs to them.
        folder: Folder among the run's artefacts.
        tracking: Store.
    """
    if not tracking.is_on or not run_id:
        return ()
    try:
        attach_files(run_id, pages, folder=folder, tracking_uri=tracking.uri)
    except TrackingError as error:
        return (f"{pages[0].name} is not shown in MLflow; {error.fact}",)
    return ()


def log_cases(run: TrackedRun, manifest: Manifest, **groups: Sequence[Case]) -> None:
    """Say which cases and patients a run used, as one dataset input per group that is not empty.

    Args:
        run: MLflow run.
        manifest: Dataset of the cases.
        groups: Cases by what they were used for, such as `training` and `validation`.
    """
    for context, cases in groups.items():
        if cases:
            facts = {
                "cases": len(cases),
                "patients": len({case.patient_id for case in cases}),
                "labels": manifest.labels,
                **({"regions": manifest.regions} if manifest.regions else {}),
                **({"units": _units(manifest)} if manifest.quantities else {}),
            }
            run.log_dataset(name=manifest.name, digest=manifest_digest(manifest), context=context, facts=facts)


def log_trained_model(
    run: TrackedRun,
    model: Path,
    manifest: Manifest,
    *,
    name: str,
    step: int,
    values: Mapping[str, float],
) -> None:
    """Log the model of a training, with its numbers on the validation cases.

    Args:
        run: MLflow run of the training.
        model: Folder of the model.
        manifest: Dataset that it was trained on.
        name: Name of the model.
        step: Steps that were done.
        values: Numbers of the validation cases by their names in MLflow; empty without such cases.
    """
    run.log_model(model, version=__version__, name=name, step=step)
    measured = MeasuredModel(manifest.name, manifest_digest(manifest), "validation")
    run.log_metrics(values, step=step, of=measured)


def log_masks(
    run: TrackedRun, rows: Sequence[CaseMetrics], *, files: Sequence[Path], pictures: Sequence[Path], table: str
) -> None:
    """Log the tables and pictures of measured masks, as `log_results` does."""
    log_results(run, case_columns(rows) if rows else {}, files=files, pictures=pictures, table=table)


def log_results(
    run: TrackedRun,
    columns: Mapping[str, Sequence[Any]],
    *,
    files: Sequence[Path],
    pictures: Sequence[Path],
    table: str,
) -> None:
    """Log the tables and pictures of measured results.

    Args:
        run: MLflow run.
        columns: Numbers of the cases as columns; empty without any.
        files: Files for the run's root folder.
        pictures: Pictures, each logged to a folder of the name of its own.
        table: Name of the table of cases in the MLflow UI.
    """
    for file in files:
        run.log_file(file)
    if columns:
        run.log_table(columns, table)
    for picture in pictures:
        run.log_file(picture, folder=picture.parent.name)
