"""A thread that sends entries in order, so that the work never waits for the MLflow store."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from medseg.tracking.entry import Entry
from medseg.tracking.post import MOST_METRICS
from medseg.tracking.spool import Spool
from medseg.tracking.store_errors import first_line, is_final, store_errors

_log = logging.getLogger(__name__)

GRACE_S = 10.0
"""Seconds for which a store that is silent is waited for at the end."""
STALL_S = 30.0
"""Seconds in which a store that answers must take an entry at the end."""
CLOSE_S = 120.0
"""Longest time for the end of a run, whatever the store does."""
_ASK_AFTER_S = 5.0
_MOST_TRIES = 3
_MOST_FAILURES = 3
"""Entries that fail one after another, and do so for reasons that pass, until the store counts as ill."""
_LONGEST_PAUSE_S = 30.0
_SHORT_GRACE_S = 1.0
_GATHER_S = 1.0
"""Seconds for which numbers are gathered for one request."""


class Post(Protocol):
    """Sends entries to the store."""

    def __call__(self, entries: Sequence[Entry], /) -> None:
        """Send one entry, or several of metrics.

        Raises:
            Exception: One of `store_errors` if the store is silent or refuses.
        """


class Answers(Protocol):
    """Says whether the store answers."""

    def __call__(self) -> bool:
        """Ask the store, within seconds."""


class Sender:
    """Sends entries in the order in which they are put.

    While the store is silent, entries wait; an entry that the store refuses is set aside, and the next ones are sent.
    A store that answers, but fails at several entries in a row, is tried more and more rarely, and given up at the end.

    Args:
        post: Sends entries.
        answers: Says whether the store answers.
        store: Name of the store in the log.
    """

    def __init__(self, post: Post, answers: Answers, *, store: str) -> None:
        self.reason = ""
        self._post, self._answers, self._store = post, answers, store
        self._waiting: deque[tuple[int, Entry]] = deque()
        self._aside: dict[int, Entry] = {}
        self._changed = threading.Condition()
        self._numbers = self._delivered = self._failures = 0
        self._spool: Spool | None = None
        self._is_closing = self._is_silent = False
        self._sent_at = -_GATHER_S
        self._thread = threading.Thread(target=self._run, name="medseg tracking", daemon=True)
        self._thread.start()

    def keep_in(self, spool: Spool, unsent: dict[int, Entry], *, last: int = 0) -> None:
        """Keep everything in a spool from now on, and send first what it holds.

        Args:
            spool: Open spool.
            unsent: Entries of the spool that an earlier run could not send.
            last: Highest number in the spool.
        """
        with self._changed:
            put = list(self._waiting)
            self._waiting.clear()
            self._numbers = max(last, *unsent, 0)
            self._waiting.extend(unsent.items())
            self._spool = spool
            self._changed.notify()
        for _, entry in put:
            self.put(entry)

    def put(self, entry: Entry) -> None:
        """Take an entry; it is kept at once, and sent soon."""
        with self._changed:
            self._numbers += 1
            self._waiting.append((self._numbers, entry))
            self._keep(self._numbers, entry)
            self._changed.notify()

    def close(self, *, grace_s: float = GRACE_S, stall_s: float = STALL_S, total_s: float = CLOSE_S) -> list[Entry]:
        """Wait until everything is sent, or the store is silent for too long.

        Args:
            grace_s: Seconds for which a silent store is waited for.
            stall_s: Seconds in which a store that answers must take an entry.
            total_s: Longest time in all.

        Returns:
            Entries that the store does not have, in order.
        """
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._is_silent and not self._delivered:  # it has been away all the time
            grace_s = min(grace_s, _SHORT_GRACE_S)
        self._wait_for_end(grace_s, stall_s, total_s)
        with self._changed:
            unsent = dict(sorted([*self._aside.items(), *self._waiting]))
            self._waiting.clear()  # a thread that still waits for an answer finds nothing more to send
            if self._spool is not None:
                self._spool.close(is_sent=not unsent)
                self._spool = None
        return list(unsent.values())

    def _wait_for_end(self, grace_s: float, stall_s: float, total_s: float) -> None:
        """Wait for the thread; only an entry that the store has taken gives it more time."""
        begun = since = time.monotonic()
        delivered = self._delivered
        while self._thread.is_alive():
            self._thread.join(0.05)
            now = time.monotonic()
            if self._delivered != delivered:
                delivered, since = self._delivered, now
            if now - since > _ASK_AFTER_S and not self._is_silent:
                self._is_silent = not self._answers()
            if now - since > (grace_s if self._is_silent else stall_s) or now - begun > total_s:
                self.reason = self.reason or f"no answer within {now - since:.0f} s"
                return

    def _keep(self, number: int, entry: Entry) -> None:
        if self._spool is None:
            return
        try:
            self._spool.append(number, entry)
        except OSError as error:
            _log.warning("what is logged cannot be kept in %s, got: %s", self._spool.path, error.strerror)

    def _run(self) -> None:
        pause_s = 1.0
        while (group := self._next()) is not None:
            self._send(group[:1] if self._is_ill() else group)
            if not self._is_ill():
                pause_s = 1.0
            elif self._is_closing:
                return
            else:
                self._pause(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _is_ill(self) -> bool:
        """Whether the store answers, but has failed at one entry after another."""
        return self._failures >= _MOST_FAILURES

    def _next(self) -> list[tuple[int, Entry]] | None:
        """The entries of the next request; None at the end."""
        with self._changed:
            while not self._is_due():
                if self._is_closing and not self._waiting:
                    return None
                self._changed.wait(_GATHER_S if self._waiting else None)
            group = [self._waiting[0]]
            self._sent_at = time.monotonic()
            size = _size(group[0][1])
            for item in list(self._waiting)[1:MOST_METRICS]:
                size += _size(item[1])
                if {group[0][1].kind, item[1].kind} != {"metrics"} or size > MOST_METRICS:
                    break
                group.append(item)
            return group

    def _is_due(self) -> bool:
        """Whether there is something to send; numbers are gathered for a moment, because each request costs time."""
        if not self._waiting:
            return False
        if self._is_closing or self._waiting[0][1].kind != "metrics":
            return True
        return time.monotonic() - self._sent_at >= _GATHER_S

    def _send(self, group: list[tuple[int, Entry]]) -> None:
        """Send a group; where a store that answers refuses it, one by one."""
        error = self._try(group)
        if error is None:
            self._done(group)
        elif len(group) > 1:
            for item in group:
                if not self._is_ill():
                    self._send([item])
        else:
            self.reason = first_line(error)
            self._failures = 0 if is_final(error) else self._failures + 1
            with self._changed:
                if self._forget(group):
                    self._aside.update(group)

    def _try(self, group: list[tuple[int, Entry]]) -> Exception | None:
        """Send, waiting while the store is silent; the error if it answers, but refuses."""
        tries = 0
        while True:
            try:
                self._post([entry for _, entry in group])
            except store_errors() as error:
                self.reason = first_line(error)
                if is_final(error):
                    return error
                if self._answers():
                    tries += 1
                    if tries == _MOST_TRIES or self._is_ill():
                        return error
                    self._pause(0.5)
                else:
                    self._wait_for_answer()
            else:
                return None

    def _wait_for_answer(self) -> None:
        _log.warning("%s does not answer (%s); the work goes on, and its numbers are kept", self._store, self.reason)
        pause_s = 1.0
        self._is_silent = True
        while not self._answers():
            self._pause(pause_s)
            pause_s = 1.0 if self._is_closing else min(2 * pause_s, _LONGEST_PAUSE_S)
        self._is_silent = False
        _log.warning("%s answers again; what was kept is sent", self._store)

    def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the moment at which the end is announced."""
        with self._changed:
            was_closing = self._is_closing
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0 and self._is_closing == was_closing:
                self._changed.wait(left)

    def _done(self, group: list[tuple[int, Entry]]) -> None:
        with self._changed:
            self._failures = 0
            self._delivered += 1
            self._is_silent = False
            numbers = self._forget(group)
            if self._spool is not None and numbers:
                with suppress(OSError):  # a full disk: sending it again later changes nothing
                    self._spool.note_sent(numbers)

    def _forget(self, group: list[tuple[int, Entry]]) -> list[int]:
        """Numbers of the group's entries that were still waiting; `keep_in` gives new numbers to those under way."""
        numbers = []
        for item in group:
            if self._waiting and self._waiting[0] is item:
                numbers.append(self._waiting.popleft()[0])
        return numbers


def _size(entry: Entry) -> int:
    return len(entry.content["values"]) if entry.kind == "metrics" else 1
