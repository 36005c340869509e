"""Two manners of Ray that no argument of `ray.init` decides, set for a block in its own modules."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def only_loopback() -> Iterator[None]:
    """Bind to 127.0.0.1 alone, as Ray does on systems where it supports no clusters.

    Its argument `_node_ip_address` does not: 127.0.0.1 is turned into the address that other machines see.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def silenced() -> Iterator[None]:
    """Print nothing of workers that die, which the caller is told of, and leave the handler of SIGTERM as it was."""
    from ray._private import worker

    def say_nothing(*given: Any, **named: Any) -> None:
        pass

    before = worker.print_to_stdstream
    on_term = signal.getsignal(signal.SIGTERM)
    worker.print_to_stdstream = say_nothing
    try:
        yield
    finally:
        worker.print_to_stdstream = before
        if threading.current_thread() is threading.main_thread() and on_term is not None:
            signal.signal(signal.SIGTERM, on_term)
