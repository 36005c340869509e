from __future__ import annotations

import pytest
from medseg.errors import GeometryError, ScanError
from medseg.ingest.build_image import _without_name
from medseg.ingest.refusal import Refusal


def test_error_of_a_reader_is_refused_by_its_fact_and_remedy_without_its_case() -> None:
    error = ScanError("file a.nii must be NIfTI, got text", remedy="convert it", case_id="file")
    refusal = Refusal.of_error("unreadable", error)
    assert refusal == Refusal("unreadable", "file a.nii must be NIfTI, got text", "convert it")
    assert refusal.message == "file a.nii must be NIfTI, got text; convert it"


def test_only_the_first_line_of_a_fact_is_kept() -> None:
    refusal = Refusal.of_error(
        "unreadable", ScanError("header is damaged\n/home/meier/a.nii", remedy="export it again")
    )
    assert refusal == Refusal("unreadable", "header is damaged", "export it again")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError("9 GB"), "memory must hold it, got: 9 GB"),
        (OSError(13, "Permission denied", "/home/meier/a.nii"), "readable and writable, got: Permission denied"),
    ],
)
def test_other_errors_are_refused_by_their_reason(error: Exception, words: str) -> None:
    fact = Refusal.of_error("unreadable", error).fact
    assert words in fact
    assert "meier" not in fact


def test_name_of_a_file_is_left_out_of_a_refusal() -> None:
    refusal = Refusal("unreadable", "file meier.nii must be whole, got meier.nii", "copy meier.nii again")
    assert refusal.without_name("meier.nii") == Refusal("unreadable", "the file must be whole, got …", "copy … again")


@pytest.mark.parametrize("kind", [ScanError, GeometryError])
def test_name_of_a_file_is_left_out_of_an_error_that_keeps_its_parts(kind: type[ScanError | GeometryError]) -> None:
    error = _without_name(
        kind("file meier.nii must be whole", remedy="copy meier.nii again", case_id="p1"), "meier.nii"
    )
    assert type(error) is kind
    assert (error.fact, error.remedy, error.case_id) == ("file … must be whole", "copy … again", "p1")
    assert str(error) == "case p1: file … must be whole; copy … again"
