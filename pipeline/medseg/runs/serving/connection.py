"""Connections that cost the server little: those that send or take nothing are closed, and so are too many."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


class BoundedConnection(H11Protocol):
    """A connection whose headers must come in time, and whose answer must be taken.

    Attributes:
        patience_s: Longest time from the begin of a connection, or the end of an answer, to the end of the next
            headers, and longest time in which a client takes nothing of an answer.
        most: Most connections of the server.
    """

    patience_s: ClassVar[float] = 30.0
    most: ClassVar[int] = 256
    _headers_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_headers_timer()
        self._end_answer_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, of headers or of a body."""
        super().data_received(data)
        self._watch_headers()

    def on_response_complete(self) -> None:
        """Wait for the next request; what is left of the body of this one is thrown away meanwhile."""
        super().on_response_complete()
        self._watch_headers()

    def pause_writing(self) -> None:
        """Wait for the client to take what was written."""
        super().pause_writing()
        self._answer_timer = self._answer_timer or self.loop.call_later(self.patience_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._end_answer_timer()
        super().resume_writing()

    def _watch_headers(self) -> None:
        is_between = self.cycle is None or self.cycle.response_complete
        if not is_between or self.transport.is_closing():
            self._end_headers_timer()
        elif self._headers_timer is None:
            self._headers_timer = self.loop.call_later(self.patience_s, self.transport.abort)

    def _end_headers_timer(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
        self._headers_timer = None

    def _end_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
        self._answer_timer = None
