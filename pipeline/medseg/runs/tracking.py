"""How a run appears in MLflow: its experiment, name and tags, stated once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from medseg import __version__
from medseg.evaluation.segmentation import case_columns
from medseg.manifest import manifest_digest
from medseg.records import Case, CaseMetrics, Manifest
from medseg.tracking import TrackedRun


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where runs are logged.

    Attributes:
        uri: MLflow store; if not given, that of `MLFLOW_TRACKING_URI`, else SQLite in the working folder.
        is_on: Whether anything is logged.
    """

    uri: str | None = None
    is_on: bool = True


def start_tracking(
    tracking: Tracking, manifest: Manifest, *, stage: str, name: str, tags: Mapping[str, str] | None = None
) -> TrackedRun | None:
    """Start an MLflow run in the dataset's experiment, before any work; None without tracking.

    Args:
        tracking: Store.
        manifest: Dataset that the run is about.
        stage: Command that the run is of, such as `classify train`.
        name: Name of the run.
        tags: Further tags.

    Raises:
        TrackingError: If the store cannot be used.
    """
    if not tracking.is_on:
        return None
    common = {
        "medseg.version": __version__,
        "medseg.stage": stage,
        "mlflow.source.name": f"medseg {stage}",
        "medseg.manifest_digest": manifest_digest(manifest),
    }
    return TrackedRun.start(
        experiment=manifest.name,
        name=name,
        tracking_uri=tracking.uri,
        tags=common | dict(tags or {}),
        about=_about(manifest),
    )


def _about(manifest: Manifest) -> str:
    """What the runs of an experiment are on, and what their metrics are."""
    patients = len({case.patient_id for case in manifest.cases})
    parts = [
        manifest.description or f"Dataset {manifest.name}.",
        (
            f"{len(manifest.cases)} cases of {patients} patients; channels {', '.join(manifest.channels)}; labels "
            f"{', '.join(manifest.foreground)}."
        ),
        (
            "`volume_…` are means over whole validation cases on their own grids, `patch_…` those of patches. "
            "Evaluations stand under `val/…`, `test/…` and `all/…`."
        ),
    ]
    return "\n\n".join(parts)


def recorded(run: TrackedRun | None) -> AbstractContextManager[object]:
    """A context that keeps an MLflow run open round the work that it is about; nothing without tracking."""
    return run.recording(system_metrics=False) if run else nullcontext()


def unsent(run: TrackedRun | None) -> tuple[str, ...]:
    """A warning about what the store did not take, if there is anything."""
    return (run.kept,) if run is not None and run.kept else ()


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
            }
            run.log_dataset(name=manifest.name, digest=manifest_digest(manifest), context=context, facts=facts)


def log_masks(
    run: TrackedRun, rows: Sequence[CaseMetrics], *, files: Sequence[Path], pictures: Sequence[Path], table: str
) -> None:
    """Log the tables and pictures of measured masks.

    Args:
        run: MLflow run.
        rows: Metrics of the masks.
        files: Files for the run's root folder.
        pictures: Overlays.
        table: Name of the table of cases in the MLflow UI.
    """
    for file in files:
        run.log_file(file)
    if rows:
        run.log_table(case_columns(rows), table)
    for picture in pictures:
        run.log_file(picture, folder="overlays")
