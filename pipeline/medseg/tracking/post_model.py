"""How a model is sent to MLflow: one for each run, however often the run is resumed or the model is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.tracking.names import clean_model_name
from medseg.tracking.start_id import find_run


def post_model(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    """Log a model through the client alone, so that neither MLflow's active run nor its store is changed.

    The model that the run has is written anew, unless a version of it is registered, whose weights never change.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Run whose model it is.
        content: Path of the model's folder and `version` of medseg; perhaps the model's `name` and its `tags`.
    """
    import mlflow
    from mlflow.models import Model

    run = client.get_run(run_id)
    model = _model_to_write(client, run, content)
    described = Model(
        artifact_path=model.artifact_location,
        model_uuid=model.model_id,
        run_id=run_id,
        model_id=model.model_id,
        signature=_signature(Path(content["path"])),
    )
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            path=f"{folder}/model",
            loader_module="medseg.tracking.model_flavour",
            data_path=content["path"],
            pip_requirements=[f"medseg=={content['version']}"],
            mlflow_model=described,
            input_example={"image": ["scan.nii.gz"]},
        )
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    if tags := content.get("tags"):
        client.set_logged_model_tags(model.model_id, dict(tags))
    client.finalize_logged_model(model.model_id, "READY")


def model_of_run(client: Any, run_id: str) -> str | None:
    """Id of the newest model that a run has made; None if the store holds neither run nor model."""
    run = find_run(client, run_id)
    if run is None:
        return None
    models = [model for model in _models_of(client, run) if model.status == "READY"]
    return str(models[-1].model_id) if models else None


def is_version_of(version: Any, model_id: str) -> bool:
    """Whether a registered version is a logged model; stores note the model's id, or its folder, which holds the id."""
    return bool(version.model_id == model_id or model_id in (version.source or ""))


def _models_of(client: Any, run: Any) -> list[Any]:
    """The models that come from a run, the oldest first, those included of which only the making is known."""
    named = f"source_run_id = '{run.info.run_id}'"
    found = client.search_logged_models([run.info.experiment_id], filter_string=named)
    return sorted(found, key=lambda model: (model.creation_timestamp, model.model_id))


def _model_to_write(client: Any, run: Any, content: Mapping[str, Any]) -> Any:
    """The run's one model that is not registered; others like it, of which an answer was lost, are deleted."""
    versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")

    def free() -> list[Any]:
        found = _models_of(client, run)
        return [model for model in found if not any(is_version_of(one, model.model_id) for one in versions)]

    if not free():
        client.create_logged_model(
            run.info.experiment_id,
            name=clean_model_name(content.get("name") or "model"),
            source_run_id=run.info.run_id,
            params=dict(run.data.params),
        )
    model, *others = free()
    for other in others:
        client.delete_logged_model(other.model_id)
    _note_output(client, run.info.run_id, model.model_id, step=content.get("step") or 0)
    return model


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


def _signature(folder: Path) -> Any:
    """Files of images in; files of masks out, in a folder that may be named, or the probabilities of slices."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    from medseg.inference.classification.card import CLASSIFIER_NAME, load_classifier_card

    image = ColSpec(DataType.string, "image")
    if (folder / CLASSIFIER_NAME).is_file():
        places = [image, ColSpec(DataType.long, "axis"), ColSpec(DataType.long, "slice")]
        classes = [ColSpec(DataType.double, name) for name in load_classifier_card(folder).targets.classes]
        return ModelSignature(inputs=Schema([image]), outputs=Schema([*places, *classes]))
    columns = [image, ColSpec(DataType.string, "out", required=False)]
    return ModelSignature(inputs=Schema(columns), outputs=Schema([ColSpec(DataType.string)]))
