"""How a model is sent to MLflow: one for each run, however often the run is resumed or the model is sent."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.networks.weights import weights_digest
from medseg.tracking.names import clean_model_name
from medseg.tracking.start_id import find_run

WEIGHTS_TAG = "medseg.weights_digest"
"""Tag of a model with the SHA-256 of its weights, as they were when they were sent."""
_OURS_TAG = "medseg.version"
_FIRST_NAME = "model"  # of every model that an earlier version logged


def post_model(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    """Log a model through the client alone, so that neither MLflow's active run nor its store is changed.

    A run has one model: another takes its place, unless a version of it is registered. The same weights are the same
    model, however often they are sent.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Run whose model it is.
        content: Path of the model's folder and `version` of medseg; perhaps the model's `name`.
    """
    from mlflow.models import Model

    from medseg.tracking.servable import save_servable

    run = client.get_run(run_id)
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(shutil.copytree(content["path"], f"{folder}/{Path(content['path']).name}"))
        digest = weights_digest(copied / "last.safetensors")  # of what is sent, which may have changed since
        if _is_registered(client, run, digest):
            return
        model = _model_to_write(client, run, content, digest)
        described = Model(
            artifact_path=model.artifact_location,
            model_uuid=model.model_id,
            run_id=run_id,
            model_id=model.model_id,
        )
        save_servable(copied, Path(folder) / "made", described=described)
        client.log_model_artifacts(model.model_id, f"{folder}/made")
    client.finalize_logged_model(model.model_id, "READY")
    _delete_others(client, run, model.model_id)


def model_of_run(client: Any, run_id: str, digest: str = "") -> str | None:
    """Id of the newest model that medseg has logged in a run; None if the store holds neither run nor model.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Run of the training.
        digest: SHA-256 of the weights that are wanted; any if not given.
    """
    run = find_run(client, run_id)
    if run is None:
        return None
    ready = [model for model in _models_of(client, run) if model.status == "READY"]
    models = [model for model in ready if not digest or model.tags.get(WEIGHTS_TAG) == digest]
    return str(models[-1].model_id) if models else None


def is_version_of(version: Any, model_id: str) -> bool:
    """Whether a registered version is a logged model; stores note the model's id, or its folder, which holds the id."""
    return bool(version.model_id == model_id or model_id in (version.source or ""))


def _models_of(client: Any, run: Any) -> list[Any]:
    """The models that medseg has logged in a run, the oldest first, those included that are only begun."""
    named = f"source_run_id = '{run.info.run_id}'"
    found = client.search_logged_models([run.info.experiment_id], filter_string=named)
    ours = [model for model in found if _OURS_TAG in model.tags or model.name == _FIRST_NAME]
    return sorted(ours, key=lambda model: (model.creation_timestamp, model.model_id))


def _model_to_write(client: Any, run: Any, content: Mapping[str, Any], digest: str) -> Any:
    """The run's model of these weights, made if there is none that may be written."""

    def same() -> list[Any]:
        return [model for model in _unregistered(client, run) if model.tags.get(WEIGHTS_TAG) == digest]

    if not same():
        client.create_logged_model(
            run.info.experiment_id,
            name=clean_model_name(content.get("name") or _FIRST_NAME),
            source_run_id=run.info.run_id,
            params=dict(run.data.params),
            tags={WEIGHTS_TAG: digest, _OURS_TAG: str(content["version"])},
        )
    model = same()[0]
    _note_output(client, run.info.run_id, model.model_id, step=content.get("step") or 0)
    return model


def _is_registered(client: Any, run: Any, digest: str) -> bool:
    """Whether the run has a model of these weights, of which a version is registered."""
    free = {model.model_id for model in _unregistered(client, run)}
    return any(
        model.tags.get(WEIGHTS_TAG) == digest and model.model_id not in free for model in _models_of(client, run)
    )


def _delete_others(client: Any, run: Any, model_id: str) -> None:
    """Delete what this model replaces, and what was begun where an answer was lost."""
    for model in _unregistered(client, run):
        if model.model_id != model_id:
            client.delete_logged_model(model.model_id)


def _unregistered(client: Any, run: Any) -> list[Any]:
    """The run's models of which no version is registered."""
    versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    found = _models_of(client, run)
    return [model for model in found if not any(is_version_of(one, model.model_id) for one in versions)]


def _note_output(client: Any, run_id: str, model_id: str, *, step: int) -> None:
    """Let the run name its model, once."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    def is_noted() -> bool:
        outputs = client.get_run(run_id).outputs
        return outputs is not None and any(one.model_id == model_id for one in outputs.model_outputs)

    if is_noted():
        return
    try:
        client.log_outputs(run_id, [LoggedModelOutput(model_id, step=step)])
    except MlflowException:  # asked again by MLflow itself, because the first answer was lost
        if not is_noted():
            raise
