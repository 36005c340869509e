"""Ctrl-C and a scheduler's SIGTERM: the first ends the work in order, and its exit code says which it was."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import click

_PATIENCE_S = 20.0  # schedulers give 30


class Interruption:
    """The signal that a command was sent, if there was one.

    It is raised as `KeyboardInterrupt`, whichever it is, so that whatever is open is closed.

    Attributes:
        number: Number of the signal; None as long as there was none.
        is_hasty: Whether the command has saved its work once the error has come through: it waits for no thread then,
            ends at once at a second signal, and after 20 s in any case.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.is_hasty = False
        self._watch: threading.Timer | None = None

    @property
    def code(self) -> int:
        """The exit code of the command, as shells give it: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    @contextmanager
    def received(self) -> Iterator[None]:
        """Receive signals within a block."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._receive) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
            if self._watch is not None:
                self._watch.cancel()

    def end(self) -> NoReturn:
        """End the command, whose work has been left in order."""
        if self.is_hasty and self.number is not None:
            self._end_now()
        sys.exit(self.code)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.is_hasty and self.number is not None:
            self._end_now()
        self.number = number
        if self.is_hasty:
            self._watch = threading.Timer(_PATIENCE_S, self._end_now)
            self._watch.daemon = True
            self._watch.start()
        raise KeyboardInterrupt

    def _end_now(self) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(self.code)


def end_hastily() -> None:
    """Let an interruption of this command end it without a wait for its threads, because its work is saved by then."""
    found = click.get_current_context().find_object(Interruption)
    if found is not None:
        found.is_hasty = True
