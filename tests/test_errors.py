from __future__ import annotations

import pickle

import pytest
from medseg.errors import GeometryError, ManifestError, PipelineError, ScanError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ScanError("a file must be whole"), "a file must be whole"),
        (ScanError("a file must be whole", remedy="copy it again"), "a file must be whole; copy it again"),
        (ManifestError("a label must be given", case_id="p1"), "case p1: a label must be given"),
        (
            GeometryError("grids must agree, got two", remedy="resample one", case_id="p1"),
            "case p1: grids must agree, got two; resample one",
        ),
    ],
)
def test_message_is_made_of_the_parts(error: PipelineError, message: str) -> None:
    assert str(error) == message
    assert error.statement == message.removeprefix("case p1: ")


def test_parts_survive_the_way_from_another_process() -> None:
    error = GeometryError("grids must agree, got two", remedy="resample one", case_id="p1")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (made here)
    assert type(again) is GeometryError
    assert (str(again), again.fact, again.remedy, again.case_id) == (
        "case p1: grids must agree, got two; resample one", "grids must agree, got two", "resample one", "p1",
    )  # fmt: skip
