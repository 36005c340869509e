"""Sending what a run could not send while it went on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from medseg.errors import TrackingError
from medseg.tracking.open_run import create_run
from medseg.tracking.post import post
from medseg.tracking.sender import Sender
from medseg.tracking.spool import Origin, Spool, SpooledRun, read_spool
from medseg.tracking.store import START_S, answers, connect, within
from medseg.tracking.store_errors import MissingRunError, explained, without_password

_PATIENCE = {"stall_s": 300.0, "total_s": 86400.0}  # somebody waits for nothing else, and can end it


@dataclass(frozen=True, slots=True)
class SentSpool:
    """What became of a spool.

    Attributes:
        path: File of the spool.
        run_id: MLflow run of the entries; "" if the spool could not be sent at all.
        store: Address of the store, without password.
        sent: Count of the entries that the store took.
        left: Count of the entries that it did not take, which the spool keeps.
        reason: Last reason of the store; "" if it took everything.
        tracking_uri: Address of the store.
        notes: Sentences about what is otherwise than the run left it.
        error: Why nothing could be sent; None if it could.
    """

    path: Path
    run_id: str = ""
    store: str = ""
    sent: int = 0
    left: int = 0
    reason: str = ""
    tracking_uri: str = ""
    notes: tuple[str, ...] = ()
    error: TrackingError | None = None


def send_spool(path: Path, *, tracking_uri: str | None = None) -> SentSpool:
    """Send the entries of a spool to their MLflow run, and remove the spool if the store took them all.

    If the store does not hold the run, a new one gets every entry, also those that the store had before.

    Args:
        path: File of the spool.
        tracking_uri: Address of the store, if it is another than at the time of the run.

    Raises:
        TrackingError: If there is no spool, it is damaged or in use, or the store cannot be used.
    """
    spooled = read_spool(path)
    if spooled is None:
        raise TrackingError(f"{path}: must exist, found nothing", remedy="nothing is kept there for MLflow")
    client, uri = connect(tracking_uri or spooled.tracking_uri)
    notes = []
    with _opened(path, spooled, uri) as spool:
        if not _holds(client, uri, spooled.run_id):
            fresh = _made_anew(spooled, uri, path)
            spool.begin_run(fresh.run_id, uri, fresh.origin)
            notes.append(
                f"the store does not hold run {spooled.run_id}; a new run {fresh.run_id} has all that was kept"
            )
            spooled = fresh
        spooled, gone = _without_gone(spooled, spool)
        sender = Sender(partial(post, client, spooled.run_id), partial(answers, uri), store="the MLflow store")
        sender.keep_in(spool, spooled.entries, last=spooled.last)
        left = len(sender.close(**_PATIENCE))
    if spooled.damaged:
        notes.append(f"{spooled.damaged} lines cannot be read, as after a crash; what they held is not sent")
    reason = sender.reason if left else "written by a newer medseg" if spooled.unknown else ""
    sent = len(spooled.entries) - left
    return SentSpool(
        path, spooled.run_id, without_password(uri), sent, left + spooled.unknown, reason, uri, (*notes, *gone)
    )


@contextmanager
def _opened(path: Path, spooled: SpooledRun, uri: str) -> Iterator[Spool]:
    """A spool that stays as it is if something goes wrong before its entries are sent."""
    try:
        spool = Spool(path, run_id=spooled.run_id, tracking_uri=uri)
    except OSError as error:
        raise TrackingError(
            f"{path}: must be writable, got: {error.strerror}", remedy="give yourself the right to read and write it"
        ) from error
    spool.holds_more = spooled.unknown > 0
    try:
        yield spool
    finally:
        spool.close(is_sent=False)


def _holds(client: Any, uri: str, run_id: str) -> bool:
    try:
        with explained(uri):
            within(START_S, uri, partial(client.get_run, run_id))
    except MissingRunError:
        return False
    return True


def _made_anew(spooled: SpooledRun, uri: str, path: Path) -> SpooledRun:
    """The same entries, for a new run of the same name."""
    datasets = [str(entry.content["name"]) for entry in spooled.every.values() if entry.kind == "dataset"]
    named = datasets[0].rpartition(" (")[0] if datasets else "medseg"
    origin = Origin(
        spooled.origin.experiment or named, spooled.origin.name or path.resolve().parent.name, spooled.origin.tags
    )
    _, run, _ = create_run(uri, experiment=origin.experiment, name=origin.name, tags=origin.tags)
    return replace(spooled, run_id=run.info.run_id, entries=dict(spooled.every), origin=origin)


def _without_gone(spooled: SpooledRun, spool: Spool) -> tuple[SpooledRun, list[str]]:
    """The spool without the files that nobody can send any more, and a sentence about each of them."""
    gone = {
        number: entry.content["path"]
        for number, entry in spooled.entries.items()
        if entry.kind in {"file", "model"} and not Path(entry.content["path"]).exists()
    }
    if gone:
        spool.note_sent(list(gone))
    kept = {number: entry for number, entry in spooled.entries.items() if number not in gone}
    return replace(spooled, entries=kept), [f"{path} is gone and cannot be sent" for path in gone.values()]
