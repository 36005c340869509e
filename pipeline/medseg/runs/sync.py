"""Numbers that a run kept while the MLflow store was silent, sent to it."""

from __future__ import annotations

from pathlib import Path

from medseg.runs.run_folder import spool_of
from medseg.tracking import SentSpool, send_spool


def sync_folder(folder: Path, *, tracking_uri: str | None = None) -> tuple[SentSpool, ...]:
    """Send what the runs in a folder kept, each to its own MLflow run.

    Args:
        folder: Output folder of a training or evaluation, or a folder of such folders.
        tracking_uri: MLflow store, if it is another than at the time of the run.

    Returns:
        One result per run that had kept something; none if the store has everything.

    Raises:
        TrackingError: If the store cannot be used or does not hold the run, or a run is still going on.
    """
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    spools = [spool for spool in map(spool_of, (folder, *inside)) if spool.is_file()]
    return tuple(send_spool(spool, tracking_uri=tracking_uri) for spool in spools)
