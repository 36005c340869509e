from __future__ import annotations

import pytest
from medseg.audit.finding import CHECKS, Finding, by_severity
from medseg.errors import ScanError


def test_message_reads_as_the_pipelines_errors_do() -> None:
    found = Finding("grid", "error", "a", "label must fit, got none", "draw it")
    assert found.message == "case a: label must fit, got none; draw it"


def test_finding_on_no_case_is_on_the_dataset() -> None:
    assert Finding("no_patients", "warning", None, "a", "b").message == "dataset: a; b"


@pytest.mark.parametrize(
    ("error", "fact", "remedy"),
    [
        (ScanError("must be whole, got half", remedy="copy it", case_id="a"), "must be whole, got half", "copy it"),
        (ScanError("one; two", remedy="three; four", case_id="a"), "one; two", "three; four"),
        (ScanError("a library's text\non lines", remedy="copy it", case_id="a"), "a library's text", "copy it"),
        (ScanError("no remedy; here"), "no remedy; here", "fix the file or drop the case"),
        (ScanError(""), "ScanError", "fix the file or drop the case"),
    ],
)
def test_finding_takes_over_the_parts_of_an_error(error: ScanError, fact: str, remedy: str) -> None:
    found = Finding.of_error("unreadable", "a", error)
    assert (found.fact, found.remedy, found.severity) == (fact, remedy, "error")


def test_findings_are_sorted_by_severity_and_keep_their_order_within_a_check() -> None:
    notes = [Finding("sides", "note", None, "a", "b")]
    errors = [Finding("constant", "error", case_id, "a", "b") for case_id in ("z", "a")]
    assert by_severity([*notes, *errors]) == (*errors, *notes)


def test_every_check_says_what_it_means() -> None:
    assert all(text.endswith(".") for text in CHECKS.values())
