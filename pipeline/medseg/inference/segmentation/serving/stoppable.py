"""Drawing that ends early once nobody waits for the mask."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from medseg.inference.segmentation.mask_model import Drawing, Observer, PreparedMask

if TYPE_CHECKING:
    from torch import Tensor


class StoppedError(Exception):
    """The work on a request ended early: nobody waits for it any more."""


def check_stop(stop: Event) -> None:
    """End the work if nobody waits for it.

    Raises:
        StoppedError: If that is so.
    """
    if stop.is_set():
        raise StoppedError


class StoppablePrepared:
    """A prepared scan whose drawing ends at the next part of the scan once nobody waits for it.

    Args:
        prepared: Scan as the model has prepared it.
        stop: Set once nobody waits.
    """

    def __init__(self, prepared: PreparedMask, stop: Event) -> None:
        self._prepared, self._stop = prepared, stop

    def draw(self, *, observe: Observer | None = None) -> Drawing:
        """Run the network and decide on the scan's own grid.

        Raises:
            StoppedError: If nobody waits any more.
            ScanError: If the scan needs more memory than is free.
        """

        def watch(values: Tensor) -> None:
            check_stop(self._stop)
            if observe is not None:
                observe(values)

        check_stop(self._stop)
        return self._prepared.draw(observe=watch)
