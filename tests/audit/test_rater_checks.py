from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.audit.audit import Audit, audit_manifest
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.runs.audit import audit_dataset
from medseg.scans import write_scan

from tests.several_raters import GRID, boxes, write, write_raters


def audited(dataset: Path) -> Audit:
    manifest, root = load_manifest(dataset)
    return audit_manifest(manifest, root, executor=SERIAL)


def found(audit: Audit, check: str) -> list[tuple[str, str | None, str]]:
    return [(one.severity, one.case_id, one.fact) for one in audit.findings if one.check == check]


def test_raters_who_fit_are_no_finding_and_their_reference_is_measured(tmp_path: Path) -> None:
    audit = audited(write_raters(tmp_path, cases=1))
    assert [one for one in audit.findings if one.severity == "error"] == []
    facts = audit.cases[0]
    assert {name: one.voxels for name, one in facts.labels.items()} == {"organ": 480, "node": 48}
    assert [file.name for file in facts.files if file.is_label] == [f"labels_{name}/r0.nii.gz" for name in "ABC"]
    assert facts.annotated_share == 1.0


def test_rater_on_another_grid_or_with_a_strange_value_is_named(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=2)
    grid = Geometry(GRID.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    write_scan(boxes()[None], grid, dataset / "labels_B/r0.nii.gz")
    write((boxes() * 4)[None], dataset / "labels_C/r1.nii.gz")
    audit = audited(dataset)
    (first,), (second,) = found(audit, "grid"), found(audit, "label_values")
    assert first[:2] == ("error", "r0")
    assert first[2].startswith("label of rater 'B' must lie on the grid of its image")
    assert second == ("error", "r1", "label of rater 'C' values must be among [0, 1, 2], got 4, 8")


def test_missing_file_of_a_rater_is_named_and_stops_nothing(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=2)
    (dataset / "labels_B/r0.nii.gz").unlink()
    result = audit_dataset(dataset, out=tmp_path / "audit")
    ((severity, case_id, fact),) = found(result.audit, "unreadable")
    assert (severity, case_id) == ("error", "r0")
    assert fact.startswith("label of rater 'B': ")
    assert result.raters is not None
    assert [one.case_id for one in result.raters.failures] == ["r0"]
    assert result.raters.between.cases == 1


def test_rater_who_drew_nothing_is_a_warning(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=1)
    write(np.zeros_like(boxes())[None], dataset / "labels_C/r0.nii.gz")
    ((severity, _, fact),) = found(audited(dataset), "empty_reading")
    assert severity == "warning"
    assert fact.startswith("label of rater 'C' must hold at least one labelled voxel")


def test_raters_who_decide_little_are_a_warning_and_those_who_decide_nothing_an_error(tmp_path: Path) -> None:
    raters = {"A": "labels_A/r0.nii.gz", "B": "labels_B/r0.nii.gz"}
    dataset = write_raters(tmp_path, cases=1, entry={"raters": raters})
    write(boxes(0, node=False)[None], dataset / "labels_A/r0.nii.gz")
    write(boxes(7, node=False)[None], dataset / "labels_B/r0.nii.gz")
    ((severity, _, fact),) = found(audited(dataset), "undecided")
    assert (severity, fact) == ("warning", "raters must decide on at least half of what they drew, got 93% undecided")
    write(boxes(8, node=False)[None], dataset / "labels_B/r0.nii.gz")
    ((severity, _, fact),) = found(audited(dataset), "empty_label")
    assert (severity, fact) == (
        "error", "label must hold at least one labelled voxel, got none that the raters decide on"
    )  # fmt: skip


def test_raters_who_differ_in_every_voxel_are_an_error_of_their_case_alone(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path, cases=2)
    for value, rater in enumerate("ABC"):
        write(np.full_like(boxes(), value)[None], dataset / f"labels_{rater}/r0.nii.gz")
    ((severity, case_id, fact),) = found(audited(dataset), "empty_label")
    assert (severity, case_id) == ("error", "r0")
    assert fact == "label must hold at least one annotated voxel, got none"


@pytest.mark.parametrize("has_raters", [True, False])
def test_page_and_files_show_the_agreement(tmp_path: Path, has_raters: bool) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=2, entry={} if has_raters else {"raters": None})
    result = audit_dataset(dataset, out=tmp_path / "audit")
    page = result.page.read_text(encoding="utf-8")
    content = (tmp_path / "audit" / "audit.json").read_text(encoding="utf-8")
    assert ("<h2>The raters</h2>" in page) is has_raters
    assert ('"raters": {' in content) is has_raters
    assert (tmp_path / "audit" / "raters.csv").exists() is has_raters
    if has_raters:
        assert "A and C" in page
        assert "0.750" in page  # the Dice of A and C
        assert "node, A and C: 0.000" in page


def test_repairs_keep_the_labels_of_raters(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=2)
    audit_dataset(dataset, out=tmp_path / "audit", fix=tmp_path / "fixed")
    manifest, root = load_manifest(tmp_path / "fixed")
    assert manifest.cases[0].raters == {name: f"labels_{name}/r0.nii.gz" for name in "ABC"}
    assert all((root / file).is_file() for case in manifest.cases for file in case.label_files)
