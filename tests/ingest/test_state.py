from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from medseg.ingest import Pseudonyms
from medseg.ingest.case_record import CaseRecord
from medseg.ingest.state import State

from tests.ingest.sources import KEY

IMAGE: dict[str, Any] = {
    "images": ["images/p1_ct.nii.gz"],
    "sha256": {"images/p1_ct.nii.gz": "ab"},
    "source_sha256": ["cd"],
    "voxels_sha256": ["ef"],
    "channels": 1,
    "notes": [],
}
LABEL: dict[str, Any] = {
    "label": "labels/p1_ct.nii.gz",
    "sha256": "12",
    "label_ml": {"liver": 1.5},
    "structures": {"Leber": "liver"},
    "matched_by": ["RTSTRUCT matched by referenced images"],
    "notes": ["structure Leber is empty"],
}
# As an ingest leaves them: the image alone, without a label, with one, one without a structure, and a copy.
STAGES: list[dict[str, Any]] = [
    {"image_seal": "i", "image": IMAGE},
    {"image_seal": "i", "image": IMAGE, "label_seal": "l"},
    {"image_seal": "i", "image": IMAGE, "label": LABEL, "label_seal": "l"},
    {"image_seal": "i", "image": IMAGE, "label": {**LABEL, "label": None, "label_ml": {}}, "label_seal": "l"},
    {"image_seal": "i", "image": IMAGE, "label": LABEL, "label_seal": "l", "is_copy": True},
]


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "out", Pseudonyms(KEY))


def file_of(tmp_path: Path) -> Path:
    return tmp_path / "out" / ".ingest" / "cases" / "p1.json"


@pytest.mark.parametrize("stage", STAGES)
def test_record_is_written_as_it_was_read(state: State, tmp_path: Path, stage: dict[str, Any]) -> None:
    path = file_of(tmp_path)
    path.parent.mkdir()
    path.write_text(json.dumps(stage, indent=2) + "\n", encoding="utf-8")
    before, record = path.read_bytes(), state.read("p1")
    assert record is not None
    assert record.label_path == (stage.get("label") or {}).get("label")
    state.write("p1", record)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"image_seal": "i"}', '{"image_seal": "i", "image": {"images": []}}', json.dumps(STAGES)],
)
def test_damaged_record_counts_as_none(state: State, tmp_path: Path, text: str) -> None:
    path = file_of(tmp_path)
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    assert state.read("p1") is None


def test_cleared_and_unknown_cases_have_no_record(state: State) -> None:
    state.write("p1", CaseRecord.model_validate(STAGES[0]))
    state.clear("p1")
    assert state.read("p1") is None
    assert state.read("p2") is None
