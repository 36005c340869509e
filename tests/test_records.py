"""A failure names its case once, whatever the error says of it."""

from __future__ import annotations

import pytest
from medseg.errors import ScanError
from medseg.records import Failure, reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ScanError("must be whole", remedy="copy it", case_id="a1"), "case a1: must be whole; copy it"),
        (ScanError("must be whole", remedy="copy it"), "case a1: must be whole; copy it"),
        (ScanError("must be whole", case_id="a12"), "case a1: case a12: must be whole"),
        (ScanError("", case_id="a1"), "case a1: ScanError"),
        (RuntimeError("on two\nlines"), "case a1: on two"),
    ],
)
def test_failure_names_its_case_once(error: Exception, reason: str) -> None:
    assert Failure.of("a1", "read", error) == Failure("a1", "read", reason)


def test_lack_of_memory_within_a_reader_names_the_case_once() -> None:
    error = ScanError("must be whole, got: Failed to allocate memory", remedy="copy it", case_id="a")
    reason = Failure.of("a", "read", error).reason
    assert reason.startswith("case a: memory must hold it, got: must be whole")
    assert reason.count("case a") == 1


def test_reason_keeps_a_case_that_is_not_known() -> None:
    error = ScanError("must be whole", case_id="a")
    assert (reason_of(error), reason_of(error, case_id="a")) == ("case a: must be whole", "must be whole")
