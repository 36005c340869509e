"""How an entry is sent to MLflow; sending one twice leaves the store as sending it once."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medseg.text import printable
from medseg.tracking.entry import Entry, Kind
from medseg.tracking.post_model import model_of_run, post_model

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

    metrics = []
    for content in contents:
        attached = _attached(client, run_id, content)
        metrics += [
            Metric(key, value, content["at"], content["step"], **attached) for key, value in content["values"].items()
        ]
    for start in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[start : start + MOST_METRICS])


def _attached(client: Any, run_id: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Model and dataset that numbers are of, where they name one; nothing if the store does not hold the model."""
    if "model_run" not in content:
        return {}
    model_id = model_of_run(client, content["model_run"] or run_id, content.get("weights", ""))
    if model_id is None:
        return {}
    name, digest = content["dataset"]
    return {"model_id": model_id, "dataset_name": name, "dataset_digest": digest}


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


def _post_used_model(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    """Attach a run, such as an evaluation, to the model of another run, where the store holds it."""
    from mlflow.entities import LoggedModelInput

    if (model_id := model_of_run(client, content["model_run"], content.get("weights", ""))) is not None:
        client.log_inputs(run_id, models=[LoggedModelInput(model_id)])


def _post_status(client: Any, run_id: str, content: Mapping[str, Any]) -> None:
    client.set_terminated(run_id, status=content["status"], end_time=content["at"])


_POSTS: dict[Kind, Callable[[Any, str, Mapping[str, Any]], None]] = {
    "parameters": _post_parameters,
    "tags": _post_tags,
    "file": _post_file,
    "table": _post_table,
    "dataset": _post_dataset,
    "model": post_model,
    "used_model": _post_used_model,
    "status": _post_status,
}
