"""The models whose results an evaluation measures: in its summary and in MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.inference.model_identity import ModelIdentity
from medseg.manifest import manifest_digest
from medseg.records import Manifest, Split
from medseg.runs.tracking import Tracking, cases_text, model_tags, start_tracking
from medseg.tracking import MeasuredModel, TrackedRun


def model_notes(models: Sequence[ModelIdentity]) -> dict[str, Any]:
    """The model that made the results, or the members of an ensemble, which is no single model."""
    notes = [model.model_dump(mode="json", exclude={"trained_on"}) for model in models]
    return {"model": notes[0] if len(notes) == 1 else None, "models": notes if len(notes) > 1 else None}


def start_evaluation(
    tracking: Tracking,
    manifest: Manifest,
    *,
    out: Path,
    fold: int | None,
    split: Split | None,
    models: Sequence[ModelIdentity],
) -> TrackedRun | None:
    """An MLflow run of an evaluation, tagged with the model that made the results if it was a single one."""
    name = f"evaluate {out.resolve().name}, {cases_text(fold, split)}"
    if len(models) != 1:
        return start_tracking(tracking, manifest, stage="evaluate", name=name)
    model = models[0]
    tags = model_tags(model.plan_digest, run_id=model.run_id, weights_digest=model.weights_digest)
    return start_tracking(tracking, manifest, stage="evaluate", name=name, tags=tags, parent=model.run_id)


def measured_model(manifest: Manifest, models: Sequence[ModelIdentity]) -> MeasuredModel:
    """The model that the numbers of an evaluation are of, as far as it is known and a single one."""
    model = models[0] if len(models) == 1 else None
    return MeasuredModel(
        manifest.name,
        manifest_digest(manifest),
        "evaluation",
        run_id=(model.run_id if model else None) or "",
        weights_digest=(model.weights_digest if model else None) or "",
    )
