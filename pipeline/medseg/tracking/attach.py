"""Files that are made after a run has ended, and belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.tracking.start_id import find_run
from medseg.tracking.store import START_S, connect, within
from medseg.tracking.store_errors import explained, missing


def attach_files(run_id: str, paths: Sequence[Path], *, folder: str, tracking_uri: str | None = None) -> None:
    """Copy files into the artefacts of a run; those of the same names are replaced.

    Args:
        run_id: Run that the files belong to.
        paths: Files.
        folder: Folder among the artefacts.
        tracking_uri: MLflow store, as in `connect`.

    Raises:
        MissingRunError: If the store does not hold the run.
        TrackingError: If the store cannot be used.
    """
    client, uri = connect(tracking_uri)

    def copy() -> bool:
        run = find_run(client, run_id)
        if run is None:
            return False
        for path in paths:
            client.log_artifact(run.info.run_id, str(path), folder)
        return True

    with explained(uri):
        is_copied = within(START_S, uri, copy)
    if not is_copied:
        raise missing(uri, f"run {run_id} is not found")
