"""Numbers that a run kept while the MLflow store was silent, sent to it."""

from __future__ import annotations

from pathlib import Path

from medseg.errors import TrackingError
from medseg.runs.run_folder import spool_of
from medseg.runs.tracking import send_kept, spools_in
from medseg.tracking import SentSpool


def sync_folder(folder: Path, *, tracking_uri: str | None = None) -> tuple[SentSpool, ...]:
    """Send what the runs in a folder kept, each to its own MLflow run.

    Args:
        folder: Output folder of a training or evaluation, a folder with such folders at any depth, or the file in which
            a run kept something.
        tracking_uri: MLflow store, if it is another than at the time of the run.

    Returns:
        One result per run that had kept something, with the error of one that could not be sent; none if nothing was
        kept.

    Raises:
        TrackingError: If there is neither such a folder nor such a file.
    """
    name = spool_of(folder).name
    if not folder.is_dir() and (folder.name != name or not folder.is_file()):
        there = "another file" if folder.exists() else "nothing"
        raise TrackingError(
            f"{folder}: must be an output folder or its {name}, got {there}", remedy="give the output folder of the run"
        )
    spools = spools_in(folder) if folder.is_dir() else [folder]
    return tuple(_sent(spool, tracking_uri) for spool in spools)


def _sent(spool: Path, tracking_uri: str | None) -> SentSpool:
    """What became of one spool, which holds up no other."""
    try:
        return send_kept(spool, tracking_uri=tracking_uri)
    except TrackingError as error:
        return SentSpool(spool, error=error)
