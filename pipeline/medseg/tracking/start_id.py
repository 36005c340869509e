"""Ids of runs that a store does not know by itself: by them a run is made once, however often it is asked for."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

START_TAG = "mlflow.medseg.start_id"
"""Tag with the id under which the making of a run was asked for; the UI hides tags of this form."""
_LATE = "late-"


def new_start_id() -> str:
    """An id for a run that is still to be made."""
    return f"{_LATE}{uuid4().hex}"


def is_start_id(run_id: str) -> bool:
    """Whether an id is not the store's own, but one under which a run is to be made."""
    return run_id.startswith(_LATE)


def find_run(client: Any, run_id: str) -> Any | None:
    """A run by its id in the store, or by the id under which it was asked for; None if the store does not hold it."""
    from mlflow.exceptions import MlflowException

    if is_start_id(run_id):
        experiments = [one.experiment_id for one in client.search_experiments()]
        return next(iter(runs_started_as(client, run_id, experiments)), None)
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
            return None
        raise


def runs_started_as(client: Any, start_id: str, experiments: list[str]) -> list[Any]:
    """The runs that were made under an id, the oldest first: more than one where an answer was lost on its way."""
    if not experiments:
        return []
    found = client.search_runs(experiments, filter_string=f"tags.`{START_TAG}` = '{start_id}'")
    return sorted(found, key=lambda run: run.info.start_time)
