"""The benchmark of fine-tuning runs from beginning to end on made-up patients."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import fine_tuning
from tests.runs.test_fine_tuning import NETWORK, PATCH, train, write_boxes


def test_both_starts_are_trained_on_the_same_cases_and_told_in_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    earlier = train(write_boxes(tmp_path / "old"), tmp_path / "run", config=PATCH | {"network": NETWORK})
    data = write_boxes(tmp_path / "new", name="others", count=6)
    (tmp_path / "patch.json").write_text(json.dumps(PATCH | {"network": NETWORK}))
    out = tmp_path / "out"
    options = ["--data", data, "--init", earlier.folder, "--cases", 1, 2, "--seeds", 0, "--epochs", 1, "--out", out]
    options += ["--config", tmp_path / "patch.json", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["fine_tuning.py", *map(str, options)])
    fine_tuning.main()
    printed = capsys.readouterr().out.splitlines()
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert [(row["start"], row["patients"]) for row in rows] == [
        ("scratch", 1), ("fine-tuned", 1), ("scratch", 2), ("fine-tuned", 2),
    ]  # fmt: skip
    assert all(row["notes"] for row in rows if row["start"] == "fine-tuned")
    trained = {}
    for start, patients in (("scratch", 1), ("fine-tuned", 1), ("scratch", 2)):
        record = json.loads((out / f"{start}_{patients}_0" / "run" / "run.json").read_text())
        trained[start, patients] = set(record["training"])
        assert len(record["validation"]) == 3
    assert trained["scratch", 1] == trained["fine-tuned", 1]
    assert trained["scratch", 1] < trained["scratch", 2]
    assert printed[-4] == "| training patients | from scratch | fine-tuned |"
    assert [line.split("|")[1].strip() for line in printed[-2:]] == ["1", "2"]
