"""Arrivals that failed for no reason of their own, such as a full disk, and when they are tried again."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

from medseg.errors import GeometryError, ManifestError, ScanError
from medseg.inference.record import RECORD_NAME
from medseg.records import Failure
from medseg.runs.segmentation.watch.arrivals import Arrival
from medseg.runs.segmentation.watch.state import KnownCase

_OF_THE_SCAN = {"", *(kind.__name__ for kind in (ScanError, GeometryError, ManifestError))}
_FIRST_S, _LONGEST_S = 30.0, 3600.0


class Retries:
    """When arrivals are tried again: after half a minute, then after twice as long each time, up to an hour."""

    def __init__(self) -> None:
        self._due: dict[str, tuple[float, float]] = {}

    def is_due(self, arrival: Arrival) -> bool:
        """Whether an arrival may be taken now."""
        return time.monotonic() >= self._due.get(arrival.name, (0.0, 0.0))[0]

    def after(self, failures: Sequence[Failure], cases: Mapping[str, KnownCase], *, taken: Collection[str]) -> set[str]:
        """Arrivals that a prediction leaves to be tried again.

        Args:
            failures: Failures of the prediction; of the record of the masks among them, if it could not be written.
            cases: Cases of all arrivals.
            taken: Arrivals that were taken now.
        """
        ids = {one.case_id for one in failures if one.kind not in _OF_THE_SCAN}
        later = {one.arrival for one in cases.values() if one.case_id in ids} & set(taken)
        later = set(taken) if RECORD_NAME in ids else later
        for name in taken:
            _, wait_s = self._due.pop(name, (0.0, 0.0))
            if name in later:
                wait_s = min(max(2 * wait_s, _FIRST_S), _LONGEST_S)
                self._due[name] = (time.monotonic() + wait_s, wait_s)
        return later
