"""`medseg review` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Medseg
from tests.remedies.review import data_of, review_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    data_of(tmp_path)
    return tmp_path


def test_pages_are_listed_with_their_size(medseg: Medseg, place: Path) -> None:
    outcome = medseg("review", "build", place / "masks", "--cases-per-page", 1, "--out", place / "r.html")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert [line.split(" (")[0] for line in lines[:2]] == [str(place / "r.html"), str(place / "r_2.html")]
    assert lines[2].startswith("2 case(s); open the page in a browser")


def test_only_the_cases_that_are_asked_for_are_shown(medseg: Medseg, place: Path) -> None:
    outcome = medseg("review", "build", place / "masks", "--cases", "b", "--out", place / "r.html")
    assert "1 case(s)" in outcome.out
    assert '"id": "a"' not in (place / "r.html").read_text(encoding="utf-8")
    assert medseg("review", "build", place / "masks", "--cases", "z", "--out", place / "r.html").code == 2


def test_scans_are_found_in_the_folders_that_are_given(medseg: Medseg, place: Path) -> None:
    record = place / "masks" / "predictions.json"
    record.write_text(record.read_text(encoding="utf-8").replace(f"{place}/", ""), encoding="utf-8")
    outcome = medseg("review", "build", place / "masks", "--out", place / "r.html")
    assert outcome.code == 1
    assert "must show at least one case" in outcome.err
    assert medseg("review", "build", place / "masks", "--source", place, "--out", place / "r.html").code == 0


def test_decisions_are_counted_and_the_next_command_is_said(medseg: Medseg, place: Path) -> None:
    outcome = medseg("review", "apply", place / "masks", review_of(place), "--dataset", place)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines() == [
        "accepted: 1 (a)",
        f"every decision in {place / 'reviews.json'}",
        f"version 2 in {place / 'dataset.json'}; the version before is kept as {place / 'dataset.v1.json'}",
        f"next: medseg train {place / 'dataset.json'} --out run",
    ]


def test_case_that_cannot_be_taken_over_is_told_and_the_command_fails(medseg: Medseg, place: Path) -> None:
    outcome = medseg("review", "apply", place / "masks", review_of(place, "b"), "--dataset", place)
    assert outcome.code == 1
    assert "failed: case b: its patient must be known" in outcome.err
    log = json.loads((place / "reviews.json").read_text(encoding="utf-8"))["reviews"]
    assert log[0]["outcome"].startswith("failed: case b")
