"""The benchmark of many labels makes data sets that hold them all, and measures what it starts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from medseg.manifest import load_manifest
from medseg.scans import read_label, write_scan

from benchmarks import many_labels
from benchmarks.many_parts import made_up
from benchmarks.many_parts.stage import run_stage
from tests.grids import grid


def test_every_structure_is_in_the_body_and_differs_little_between_cases() -> None:
    body = np.zeros((96, 96, 60), bool)
    body[8:-8, 8:-8] = True
    first, second = (made_up.structures(body, np.diag([-4.0, -4.0, 5.0, 1.0]), seed=seed) for seed in (0, 1))
    assert sorted(np.unique(first)) == list(range(118))
    assert not first[~body].any()
    assert 0 < (first != second).mean() < 0.2


@pytest.mark.parametrize("kind", ["labels", "regions", "ignored"])
def test_manifest_of_each_kind_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    def convert(series: Path, path: Path) -> None:
        write_scan(np.full((1, 64, 64, 40), 20, np.int16), grid((64, 64, 40), spacing_mm=(4.0, 4.0, 5.0)), path)

    monkeypatch.setattr(made_up, "_convert", convert)
    made_up.write_volumes(tmp_path, tmp_path / "data", cases=2, kind=kind)
    manifest, root = load_manifest(tmp_path / "data")
    assert len(manifest.foreground) == 117
    assert len(manifest.regions or ()) == (16 if kind == "regions" else 0)
    labels = [read_label(root / f"label_{number}.nii.gz", case_id="a")[0] for number in range(2)]
    values = set(np.unique(labels).tolist())
    assert (255 in values) == (kind == "ignored")
    assert len(values) > 100


def test_stage_is_a_process_whose_memory_is_followed(tmp_path: Path) -> None:
    found = run_stage("help", ["--help"], folder=tmp_path)
    assert found.seconds > 0
    assert found.peak_bytes > 2**20
    assert "train" in (tmp_path / "help.log").read_text()
    with pytest.raises(SystemExit, match="medseg nothing failed"):
        run_stage("nothing", ["nothing"], folder=tmp_path)


def test_every_stage_of_a_kind_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSEG_DATA", str(tmp_path))
    monkeypatch.setattr(many_labels, "write_pictures", lambda folder: None)
    started: list[list[str]] = []

    def run(name: str, arguments: list[str], *, folder: Path) -> many_labels.Measured:
        started.append(arguments)
        return many_labels.Measured(1.0, 2**20, 2**20)

    monkeypatch.setattr(many_labels, "run_stage", run)
    monkeypatch.setattr(sys, "argv", ["many_labels.py", "--out", str(tmp_path), "--kind", "pictures"])
    many_labels.main()
    assert [arguments[0] for arguments in started] == [
        "audit", "plan", "prepare", "train", "predict", "evaluate", "report", "predict", "deliver",
    ]  # fmt: skip
