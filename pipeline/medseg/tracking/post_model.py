"""How a model is sent to MLflow: one for each run, however often the run is resumed or the model is sent."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.tracking.names import clean_model_name


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
    model = _unregistered_model(client, run) or _new_model(client, run, content)
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
    from mlflow.exceptions import MlflowException

    try:
        return _newest_model(client, client.get_run(run_id))
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def is_version_of(version: Any, model_id: str) -> bool:
    """Whether a registered version is a logged model; stores note the model's id, or its folder, which holds the id."""
    return bool(version.model_id == model_id or model_id in (version.source or ""))


def _newest_model(client: Any, run: Any) -> str | None:
    """Id of the last model among the run's outputs that is not deleted."""
    from mlflow.exceptions import MlflowException

    outputs = run.outputs.model_outputs if run.outputs else []
    found = []
    for output in outputs:
        try:
            found.append(client.get_logged_model(output.model_id))
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return str(max(found, key=lambda model: model.creation_timestamp).model_id) if found else None


def _unregistered_model(client: Any, run: Any) -> Any | None:
    """The run's model, if it may be written again."""
    model_id = _newest_model(client, run)
    if model_id is None:
        return None
    versions = client.search_model_versions(f"run_id = '{run.info.run_id}'")
    is_registered = any(is_version_of(version, model_id) for version in versions)
    return None if is_registered else client.get_logged_model(model_id)


def _new_model(client: Any, run: Any, content: Mapping[str, Any]) -> Any:
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(
        run.info.experiment_id,
        name=clean_model_name(content.get("name") or "model"),
        source_run_id=run.info.run_id,
        params=dict(run.data.params),
    )
    client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, step=content.get("step") or 0)])
    return model


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
