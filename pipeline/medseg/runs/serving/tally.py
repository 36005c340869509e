"""Counts of a server since its start, as Prometheus reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]  # it ships no types


class Tally:
    """Counts requests by their route and status; it knows nothing of what they hold."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds: Counter[str] = Counter()

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._requests[route, status] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]  # a counter of any numbers

    def text(self, *, in_work: int) -> str:
        """The counts as text.

        Args:
            in_work: Requests that are received, wait or are worked on now.
        """
        return "\n".join(self._lines(in_work)) + "\n"

    def _lines(self, in_work: int) -> Iterator[str]:
        yield "# TYPE medseg_requests_total counter"
        for (route, status), count in sorted(self._requests.items()):
            yield f'medseg_requests_total{{route="{route}",status="{status}"}} {count}'
        yield "# TYPE medseg_request_seconds_total counter"
        for route, seconds in sorted(self._seconds.items()):
            yield f'medseg_request_seconds_total{{route="{route}"}} {seconds:.6f}'
        yield "# TYPE medseg_requests_in_work gauge"
        yield f"medseg_requests_in_work {in_work}"
        yield "# TYPE medseg_resident_bytes gauge"
        yield f"medseg_resident_bytes {psutil.Process().memory_info().rss}"
