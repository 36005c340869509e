"""How an entry is sent to MLflow; sending one twice leaves the store as sending it once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.text import printable
from medseg.tracking.entry import Entry, Kind

MOST_METRICS = 1000
_MOST_PARAMETERS = 100
LOGGED_ARTIFACTS = "mlflow.loggedArtifacts"


def post(client: Any, run_id: str, entries: Sequence[Entry]) -> None:
    """Send one entry, or several of metrics in one request.

    Args:
        client: An `mlflow.MlflowClient`.
        run_id: Run that the entries belong to.
        entries: One entry, or metrics of at most `MOST_METRICS` values.
    """
    if entries[0].kind == "metrics":
        _post_metrics(client, run_id, [entry.content for entry in entries])
        return
    for entry in entries:
        _POSTS[entry.kind](client, run_id, entry.content)


def _post_metrics(client: Any, run_id: str, contents: Sequence[Mapping[str, Any]]) -> None:
    from mlflow.entities import Metric

    metrics = [
        Metric(key, value, content["at"], content["step"])
        for content in contents
        for key, value in content["values"].items()
    ]
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])


def _post_parameters(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    params = [Param(key, value) for key, value in content["values"].items()]
    for start in range(0, len(params), _MOST_PARAMETERS):
        client.log_batch(run_id, params=params[start : start + _MOST_PARAMETERS])


def _post_tags(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    for key, value in content["values"].items():
        client.set_tag(run_id, key, value)


def _post_file(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    path = Path(content["path"])
    name = printable(path.name).replace("\\", "_")
    if name == path.name:
        client.log_artifact(run_id, str(path), content["folder"])
        return
    with tempfile.TemporaryDirectory() as folder:  # a name that is no text has no address in the store
        renamed = Path(folder) / name
        renamed.write_bytes(path.read_bytes())
        client.log_artifact(run_id, str(renamed), content["folder"])


def _post_table(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    """Write the table whole; MLflow's own `log_table` would append to one that is there."""
    columns, name = content["columns"], content["name"]
    table = {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}
    client.log_text(run_id, json.dumps(table), name)
    shown = json.loads(client.get_run(run_id).data.tags.get(LOGGED_ARTIFACTS, "[]"))
    tag = {"path": name, "type": "table"}  # by which the UI finds it
    if tag not in shown:
        client.set_tag(run_id, LOGGED_ARTIFACTS, json.dumps([*shown, tag]))


def _post_dataset(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=content["name"],
        digest=content["digest"],
        source_type="medseg manifest",
        source=content["source"],
        profile=content["profile"],
    )
    tag = InputTag("mlflow.data.context", content["context"])
    client.log_inputs(run_id, [DatasetInput(dataset, [tag])])


def _post_model(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    """Log a model through the client alone, so that neither MLflow's active run nor its store is changed."""
    import mlflow
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    run = client.get_run(run_id)
    model = client.create_logged_model(
        run.info.experiment_id, name="model", source_run_id=run_id, params=dict(run.data.params)
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    described = Model(
        artifact_path=model.artifact_location, model_uuid=model.model_id, run_id=run_id, model_id=model.model_id
    )
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(
            path=f"{folder}/model",
            loader_module="medseg.tracking.model_flavour",
            data_path=content["path"],
            pip_requirements=[f"medseg=={content['version']}"],
            mlflow_model=described,
        )
        client.log_model_artifacts(model.model_id, f"{folder}/model")
    client.finalize_logged_model(model.model_id, "READY")


def _post_status(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    client.set_terminated(run_id, status=content["status"], end_time=content["at"])


_POSTS: dict[Kind, Callable[[Any, str, Mapping[str, Any]], None]] = {
    "parameters": _post_parameters,
    "tags": _post_tags,
    "file": _post_file,
    "table": _post_table,
    "dataset": _post_dataset,
    "model": _post_model,
    "status": _post_status,
}
