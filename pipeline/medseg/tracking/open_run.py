"""Making a run in a store, or finding one by its id; whatever stands against it is found out before the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medseg.atomic import check_writable
from medseg.errors import DeliveryError, TrackingError
from medseg.tracking.store import START_S, connect, within
from medseg.tracking.store_errors import explained


def create_run(tracking_uri: str | None, *, experiment: str, name: str, tags: dict[str, str]) -> tuple[Any, Any, str]:
    """Create a run, and its experiment if it does not exist.

    Returns:
        MLflow client, run and URI of the store.

    Raises:
        TrackingError: If the store cannot be used, or the experiment was deleted.
    """
    client, uri = connect(tracking_uri)

    def create() -> Any:
        experiment_id = _experiment_id(client, experiment)
        return client.create_run(experiment_id, run_name=name, tags=tags)

    with explained(uri):
        return client, within(START_S, uri, create), uri


def reopen_run(tracking_uri: str, run_id: str) -> tuple[Any, Any, str]:
    """Mark a run as running again.

    Returns:
        MLflow client, run as it was before and URI of the store.

    Raises:
        TrackingError: If the store cannot be used, or does not hold the run.
    """
    client, uri = connect(tracking_uri)

    def reopen() -> Any:
        found = client.get_run(run_id)
        client.set_terminated(run_id, status="RUNNING", end_time=None)
        return found

    with explained(uri):
        return client, within(START_S, uri, reopen), uri


def _experiment_id(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            found = client.get_experiment(client.create_experiment(name))
        except MlflowException:  # another process has made it just now
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        remedy = "restore it in MLflow, or give the dataset another name"
        raise TrackingError(f"experiment {name!r} must not be deleted", remedy=remedy)
    _check_artefacts(found.artifact_location)
    return str(found.experiment_id)


def _check_artefacts(location: str) -> None:
    """Refuse a folder of artefacts on this machine that cannot be written."""
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    if not is_local_uri(location):
        return
    try:
        check_writable(Path(local_file_uri_to_path(location)), option="tracking URI")
    except DeliveryError as error:
        raise OSError(f"artefacts: {error.fact}") from error
