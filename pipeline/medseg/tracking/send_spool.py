"""Sending what a run could not send while it went on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medseg.errors import TrackingError
from medseg.tracking.post import post
from medseg.tracking.sender import Sender
from medseg.tracking.spool import Spool, read_spool
from medseg.tracking.store import START_S, answers, connect, within
from medseg.tracking.store_errors import explained, without_password


@dataclass(frozen=True, slots=True)
class SentSpool:
    """What became of a spool.

    Attributes:
        run_id: MLflow run of the entries.
        store: Address of the store, without password.
        sent: Count of the entries that the store took.
        left: Count of the entries that it did not take, which the spool keeps.
        reason: Last reason of the store; "" if it took everything.
    """

    run_id: str
    store: str
    sent: int
    left: int
    reason: str


def send_spool(path: Path, *, tracking_uri: str | None = None) -> SentSpool:
    """Send the entries of a spool to their MLflow run, and remove the spool if the store took them all.

    Args:
        path: File of the spool.
        tracking_uri: Address of the store, if it is another than at the time of the run.

    Raises:
        TrackingError: If there is no spool, it is damaged or in use, or the store cannot be used or lacks the run.
    """
    spooled = read_spool(path)
    if spooled is None:
        raise TrackingError(f"{path}: must exist, found nothing", remedy="nothing is kept there for MLflow")
    client, uri = connect(tracking_uri or spooled.tracking_uri)
    with explained(uri):
        within(START_S, uri, partial(client.get_run, spooled.run_id))
    spool = Spool(path, run_id=spooled.run_id, tracking_uri=uri)
    sender = Sender(partial(post, client, spooled.run_id), partial(answers, uri), store="the MLflow store")
    sender.keep_in(spool, spooled.entries)
    left = len(sender.close())
    store = without_password(uri)
    return SentSpool(spooled.run_id, store, len(spooled.entries) - left, left, sender.reason if left else "")
