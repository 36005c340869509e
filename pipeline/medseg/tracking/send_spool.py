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
from medseg.tracking.spool import Spool, SpooledRun, read_spool
from medseg.tracking.start_id import find_run, is_start_id
from medseg.tracking.store import START_S, answers, connect, within
from medseg.tracking.store_errors import explained, without_password

_HASTE = {"grace_s": 3.0, "stall_s": 10.0, "total_s": 60.0}
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


def send_spool(path: Path, *, tracking_uri: str | None = None, is_in_haste: bool = False) -> SentSpool:
    """Send the entries of a spool to their MLflow run, and remove the spool if the store took them all.

    If the store does not hold the run, a new one gets every entry, also those that the store had before.

    Args:
        path: File of the spool.
        tracking_uri: Address of the store, if it is another than at the time of the run.
        is_in_haste: Whether somebody waits for something else, so that a store that is slow is given little time.

    Raises:
        TrackingError: If there is no spool, it is damaged or in use, or the store cannot be used.
    """
    spooled = read_spool(path)
    if spooled is None:
        raise TrackingError(f"{path}: must exist, found nothing", remedy="nothing is kept there for MLflow")
    client, uri = connect(tracking_uri or spooled.tracking_uri)
    notes = []
    with _opened(path, spooled, uri) as spool:
        held = _held(client, uri, spooled.run_id)
        if held is None:
            made = _made(spooled, uri, path)
            spool.begin_run(made.run_id, uri, made.origin)
            if not is_start_id(spooled.run_id):
                notes.append(
                    f"the store does not hold run {spooled.run_id}; a new run {made.run_id} has all that was kept"
                )
            spooled = made
        elif held != spooled.run_id:
            spool.begin_run(held, uri, spooled.origin)
            spooled = replace(spooled, run_id=held, entries=dict(spooled.every))
        spooled, gone = _without_gone(spooled, spool)
        sender = Sender(partial(post, client, spooled.run_id), partial(answers, uri), store="the MLflow store")
        sender.keep_in(spool, spooled.entries, last=spooled.last)
        left = len(sender.close(**(_HASTE if is_in_haste else _PATIENCE)))
    if spooled.damaged:
        notes.append(f"{spooled.damaged} lines cannot be read, as after a crash; what they held is not sent")
    reason = sender.reason if left else "written by a newer medseg" if spooled.unknown else ""
    sent = len(spooled.entries) - left
    store = without_password(uri)
    return SentSpool(path, spooled.run_id, store, sent, left + spooled.unknown, reason, store, (*notes, *gone))


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


def _held(client: Any, uri: str, run_id: str) -> str | None:
    """The store's own id of a run; None if it does not hold it."""
    with explained(uri):
        found = within(START_S, uri, partial(find_run, client, run_id))
    return None if found is None else str(found.info.run_id)


def _made(spooled: SpooledRun, uri: str, path: Path) -> SpooledRun:
    """The same entries, for a run that is made now: under the id that it was asked for, or again of the same name."""
    datasets = [str(entry.content["name"]) for entry in spooled.every.values() if entry.kind == "dataset"]
    named = datasets[0].rpartition(" (")[0] if datasets else "medseg"
    origin = replace(
        spooled.origin,
        experiment=spooled.origin.experiment or named,
        name=spooled.origin.name or path.resolve().parent.name,
    )
    start_id = spooled.run_id if is_start_id(spooled.run_id) else ""
    _, run, _ = create_run(uri, origin, start_id=start_id)
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
