"""A pause of Python's cycle collector while records without cycles are made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the cycle collector while many records are made; it is resumed if it was on before.

    Records hold no cycles, yet every few ten thousand new ones make the collector walk all of them again, which is more
    than half the time of reading a manifest of 100,000 cases.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
