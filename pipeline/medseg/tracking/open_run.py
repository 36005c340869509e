"""Making a run in a store, or finding one by its id; whatever stands against it is found out before the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.atomic import check_writable
from medseg.errors import DeliveryError, TrackingError
from medseg.tracking.store import START_S, connect, database_file, within
from medseg.tracking.store_errors import explained, unreachable

DESCRIPTION = "mlflow.note.content"
"""Tag of the text that the UI shows above a run or an experiment."""
PARENT = "mlflow.parentRunId"
"""Tag of a run that the UI shows below another."""
VIEW = "medseg"
"""Name of the view that shows the columns that matter, for an address of the UI."""
_COLUMNS = (
    "metrics.`volume_dice/mean`",
    "metrics.`val/dice/mean`",
    "metrics.`test/dice/mean`",
    "metrics.`all/dice/mean`",
    "metrics.`val/slice_auroc/mean`",
    "tags.`medseg.stage`",
    "tags.`medseg.length`",
    "params.`fold`",
    "params.`differs_from_default`",
    "attributes.`Models`",
)
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag of an experiment that holds the view."""
_EXPERIMENT_TAGS = {VIEW_TAG: json.dumps({"selectedColumns": _COLUMNS})}


def create_run(
    tracking_uri: str | None,
    *,
    experiment: str,
    name: str,
    tags: dict[str, str],
    about: str = "",
    parent: str | None = None,
) -> tuple[Any, Any, str]:
    """Create a run, and its experiment, with a description, if it does not exist.

    Args:
        tracking_uri: URI of the store, as in `connect`.
        experiment: Name of the experiment.
        name: Name of the run.
        tags: Tags of the run.
        about: Description of the experiment.
        parent: Run below which the UI shows this one; one that the experiment does not hold is passed over.

    Returns:
        MLflow client, run and URI of the store.

    Raises:
        TrackingError: If the store cannot be used, or the experiment was deleted.
    """
    client, uri = connect(tracking_uri)

    def create() -> Any:
        experiment_id = _experiment_id(client, experiment, uri, about=about)
        nested = {PARENT: parent} if parent and _holds(client, parent, experiment_id) else {}
        return client.create_run(experiment_id, run_name=name, tags=tags | nested)

    with explained(uri):
        run = within(START_S, uri, create)
    if not run.info.run_id:
        raise unreachable(uri, "an answer without a run, as from a server that is not MLflow")
    return client, run, uri


def reopen_run(tracking_uri: str, run_id: str) -> tuple[Any, Any, str, str]:
    """Mark a run as running again.

    Returns:
        MLflow client, run as it was before, name of its experiment and URI of the store.

    Raises:
        MissingRunError: If the store does not hold the run.
        TrackingError: If the store cannot be used.
    """
    client, uri = connect(tracking_uri)

    def reopen() -> Any:
        found = client.get_run(run_id)
        client.set_terminated(run_id, status="RUNNING", end_time=None)
        return found, client.get_experiment(found.info.experiment_id).name

    with explained(uri):
        return client, *within(START_S, uri, reopen), uri


def _holds(client: Any, run_id: str, experiment_id: str) -> bool:
    """Whether an experiment holds a run that is not deleted."""
    from mlflow.exceptions import MlflowException

    try:
        info = client.get_run(run_id).info
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return False
        raise
    return bool(info.experiment_id == experiment_id and info.lifecycle_stage == "active")


def _experiment_id(client: Any, name: str, uri: str, *, about: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = _location_beside(uri)
        try:
            tags = _EXPERIMENT_TAGS | ({DESCRIPTION: about} if about else {})
            found = client.get_experiment(client.create_experiment(name, artifact_location=location, tags=tags))
        except MlflowException:  # another process has made it just now
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        remedy = "restore it in MLflow, or give the dataset another name"
        raise TrackingError(f"experiment {name!r} must not be deleted", remedy=remedy)
    _check_artefacts(found.artifact_location)
    for key, value in _EXPERIMENT_TAGS.items():
        if found.tags.get(key) != value:  # of an experiment that an earlier version has made
            client.set_experiment_tag(found.experiment_id, key, value)
    return str(found.experiment_id)


def _location_beside(uri: str) -> str | None:
    """The folder of artefacts beside a database file, if MLflow's own in the working folder cannot be written.

    It is looked at before the experiment is made, which keeps its folder for ever.

    Raises:
        TrackingError: If neither can be written.
    """
    file = database_file(uri)
    if file is None:
        return None
    try:
        check_writable(Path("mlruns"), option="tracking URI")
    except DeliveryError:
        beside = file.resolve().with_name("mlruns")
        _check_artefacts(str(beside))
        return beside.as_uri()
    return None


def _check_artefacts(location: str) -> None:
    """Refuse a folder of artefacts on this machine that cannot be written."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if not is_local_uri(location):
        return
    try:
        check_writable(Path(local_file_uri_to_path(location)), option="tracking URI")
    except DeliveryError as error:
        remedy = "make that folder writable, or choose another store: check the tracking URI"
        raise TrackingError(f"artefacts: {error.fact}", remedy=remedy) from error
