"""Making a run in a store, or finding one by its id; whatever stands against it is found out before the work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medseg.atomic import check_writable
from medseg.errors import DeliveryError, TrackingError
from medseg.tracking.spool import Origin
from medseg.tracking.start_id import START_TAG, find_run, is_start_id, new_start_id, runs_started_as
from medseg.tracking.store import START_S, connect, database_file, within
from medseg.tracking.store_errors import explained, missing, unreachable, without_password

DESCRIPTION = "mlflow.note.content"
"""Tag of the text that the UI shows above a run or an experiment."""
PARENT = "mlflow.parentRunId"
"""Tag of a run that the UI shows below another."""
_LATE_PARENT_TAG = "mlflow.medseg.parent_id"
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


def create_run(tracking_uri: str | None, origin: Origin, *, start_id: str = "") -> tuple[Any, Any, str]:
    """Create a run, and its experiment, with a description, if it does not exist.

    Args:
        tracking_uri: URI of the store, as in `connect`.
        origin: Experiment, name, tags and more.
        start_id: Id under which the run is asked for; if the store has made one under it, that one is taken.

    Returns:
        MLflow client, run and URI of the store.

    Raises:
        TrackingError: If the store cannot be used, or the experiment was deleted.
    """
    client, uri = connect(tracking_uri)
    start_id = start_id or new_start_id()

    def create() -> Any:
        experiment_id = _experiment_id(client, origin.experiment, uri, about=origin.about)
        if known := runs_started_as(client, start_id, [experiment_id]):
            if known[0].info.status != "RUNNING":  # it was ended before it had anything
                client.set_terminated(known[0].info.run_id, status="RUNNING", end_time=None)
            return known[0]
        parent = find_run(client, origin.parent) if origin.parent else None
        nested = {PARENT: parent.info.run_id} if parent is not None and _is_in(parent, experiment_id) else {}
        if parent is None and is_start_id(origin.parent):
            nested = {_LATE_PARENT_TAG: origin.parent}  # which is made later, and then takes this one
        tags = origin.tags | nested | {START_TAG: start_id}
        made = client.create_run(experiment_id, run_name=origin.name, tags=tags)
        if uri.startswith("http"):
            _only_one(client, made, start_id)
        for child in client.search_runs([experiment_id], filter_string=f"tags.`{_LATE_PARENT_TAG}` = '{start_id}'"):
            client.set_tag(child.info.run_id, PARENT, made.info.run_id)
        return made

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
        found = find_run(client, run_id)
        if found is None:
            return None
        if found.info.lifecycle_stage == "deleted":
            raise TrackingError(
                f"run {run_id}: must not be deleted in the MLflow store {without_password(uri)}",
                remedy="restore it in MLflow, or resume without tracking",
            )
        client.set_terminated(found.info.run_id, status="RUNNING", end_time=None)
        return found, client.get_experiment(found.info.experiment_id).name

    with explained(uri):
        reopened = within(START_S, uri, reopen)
    if reopened is None:
        raise missing(uri, f"run {run_id} is not found")
    return client, *reopened, uri


def _is_in(run: Any, experiment_id: str) -> bool:
    """Whether a run is of an experiment, and not deleted."""
    return bool(run.info.experiment_id == experiment_id and run.info.lifecycle_stage == "active")


def _only_one(client: Any, made: Any, start_id: str) -> None:
    """Delete others like the run, which the store made because its answer was lost and it was asked again."""
    if not made.info.run_id:
        return
    for other in runs_started_as(client, start_id, [made.info.experiment_id]):
        if other.info.run_id != made.info.run_id:
            client.delete_run(other.info.run_id)


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
