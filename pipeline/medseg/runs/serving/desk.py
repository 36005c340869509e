"""Where requests are counted in, wait, and are worked on: as many as the server's memory and disk are meant for."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from threading import Event
from typing import TypeVar

from medseg.runs.serving.error_answer import ErrorAnswer

Result = TypeVar("Result")
_USUAL_S = 5.0  # of a request, until one has ended
_SMOOTHING = 0.2


class Ticket:
    """The place of one request: a folder, and a share of what the server does at once.

    Args:
        desk: Desk that gave it.
        folder: Folder of the request alone.
    """

    def __init__(self, desk: Desk, folder: Path) -> None:
        self.folder, self.stop = folder, Event()
        self._desk = desk
        self._work: Future[object] | None = None

    def begin(self, work: Callable[[Event], Result]) -> asyncio.Future[Result]:
        """Begin the work of the request once one of the workers is free.

        Args:
            work: Work, which looks at the event now and then and ends once it is set.
        """
        future = self._desk.pool.submit(work, self.stop)
        self._work = future  # type: ignore[assignment]  # of any result
        awaited = asyncio.wrap_future(future)
        awaited.add_done_callback(_see_error)
        return awaited

    def close(self) -> None:
        """Give the place back: now, or when work that was begun and cannot be cancelled has ended."""
        self.stop.set()
        if self._work is None or self._work.cancel():
            self._release(None)
        else:
            self._work.add_done_callback(self._release)

    def _release(self, work: Future[object] | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self._desk.leave(self)


class Desk:
    """Counts requests in and out.

    Args:
        folder: Folder in which each request gets its own.
        at_once: Requests that are worked on at the same time.
        queue: Requests beyond these that are received or wait.
    """

    def __init__(self, folder: Path, *, at_once: int, queue: int) -> None:
        self.folder, self.places = folder, at_once + queue
        self.pool = ThreadPoolExecutor(at_once, "request")
        self._at_once = at_once
        self._open: set[Ticket] = set()
        self._mean_s = _USUAL_S

    def __len__(self) -> int:
        return len(self._open)

    def enter(self) -> Ticket:
        """Give a request its place.

        Raises:
            ErrorAnswer: If there is none.
        """
        if len(self._open) >= self.places:
            raise ErrorAnswer(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "QueueFull",
                f"at most {self.places} requests may be in work or wait, got one more",
                remedy="send it again later",
                retry_after_s=self._mean_s * (1 + len(self._open) / self._at_once / 2),
            )
        folder = self.folder / uuid.uuid4().hex
        folder.mkdir()
        ticket = Ticket(self, folder)
        self._open.add(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Take a place back."""
        self._open.discard(ticket)

    def took(self, seconds: float) -> None:
        """Take note of how long the work on a request took."""
        self._mean_s += _SMOOTHING * (seconds - self._mean_s)

    def close(self) -> None:
        """End all work, and wait for that which cannot be cancelled."""
        for ticket in tuple(self._open):
            ticket.stop.set()
        self.pool.shutdown(cancel_futures=True)


def _see_error(future: asyncio.Future[Result]) -> None:
    """Look at an error that nobody waits for any more, or it would be logged with all its words."""
    if not future.cancelled():
        future.exception()
