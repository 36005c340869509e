from __future__ import annotations

import csv
import shutil
import stat
from pathlib import Path

import pytest
from medseg.errors import ManifestError
from medseg.ingest.source_files import AGAIN, FOLDER_AGAIN, HIDDEN, LOST_LINK, list_source

from tests.ingest.sources import run_ingest, voxels, write_ct, write_nifti


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(3):
        write_ct(tmp_path / "archive" / f"P{number}", seed=number, PatientID=f"ID{number}")
    return tmp_path / "archive"


def test_linked_folders_and_linked_files_are_patients_like_others(archive: Path, tmp_path: Path) -> None:
    subset = tmp_path / "subset"
    (subset / "P2").mkdir(parents=True)
    shutil.move(archive / "P0", subset / "P0")
    (subset / "P1").symlink_to("../archive/P1", target_is_directory=True)
    for file in (archive / "P2").iterdir():
        (subset / "P2" / file.name).symlink_to(file)
    done = run_ingest(subset, tmp_path / "out")
    assert len({case.patient_id for case in done.manifest.cases}) == 3
    assert done.report.is_clean
    assert done.report.became == {"image": 18}


def test_file_reached_twice_counts_once_under_its_own_name(archive: Path, tmp_path: Path) -> None:
    (archive / "A link").symlink_to(archive / "P1", target_is_directory=True)
    (archive / "P0 again").symlink_to(next((archive / "P0").iterdir()))
    listed = list_source(archive, without=tmp_path / "out")
    assert len(listed.files) == 18
    assert not any("link" in str(path) or "again" in str(path) for path in listed.files)
    assert {(one.path.name, one.reason) for one in listed.passed_over} == {
        ("A link", FOLDER_AGAIN),
        ("P0 again", AGAIN),
    }
    done = run_ingest(archive, tmp_path / "out")
    assert done.document["passed_over"] == {FOLDER_AGAIN: 1, AGAIN: 1}
    assert done.document["files"]["passed over"] == 2


@pytest.mark.parametrize("target", [".", "..", "P0/..", "../archive"])
def test_links_in_circles_end(archive: Path, tmp_path: Path, target: str) -> None:
    (archive / "P1" / "round").symlink_to(archive / target, target_is_directory=True)
    (archive / "P2" / "self").symlink_to(archive / "P2" / "self")
    listed = list_source(archive, without=tmp_path / "out")
    assert len(listed.files) == 18
    assert {one.path.name: one.reason for one in listed.passed_over} == {"round": FOLDER_AGAIN, "self": LOST_LINK}


def test_objects_of_a_store_by_content_are_files_of_their_own(tmp_path: Path) -> None:
    store = tmp_path / "src" / ".git" / "annex" / "objects" / "x"
    write_nifti(store / "key.nii.gz", voxels())
    for name in ("a", "b"):
        (tmp_path / "src" / name).mkdir()
        (tmp_path / "src" / name / "ct.nii.gz").symlink_to(store / "key.nii.gz")
    listed = list_source(tmp_path / "src", without=tmp_path / "out")
    assert [path.parent.name for path in listed.files] == ["a", "b"]
    assert [one.reason for one in listed.passed_over] == [HIDDEN]


def test_source_of_links_to_nowhere_says_so(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "ct.nii.gz").symlink_to(tmp_path / "not fetched")
    with pytest.raises(ManifestError, match=r"1 file\(s\) cannot be read: a link that leads to no file"):
        run_ingest(tmp_path / "src", tmp_path / "out")


def test_private_table_finds_every_failure_again_and_is_for_its_owner_only(tmp_path: Path) -> None:
    source = tmp_path / "src"
    write_ct(source / "Krawuttke", PatientID="MRN-1", SeriesDescription="Thorax Krawuttke")
    write_ct(source / "short", PatientID="MRN-2")
    for path in sorted((source / "short").iterdir())[2:]:
        path.unlink()
    (source / "letter.pdf").write_bytes(b"%PDF-1.4")
    (source / "Brief.Krawuttke").write_bytes(b"x" * 9)
    (source / "cut.dcm").write_bytes(b"\0" * 128 + b"DICM")
    table = tmp_path / "own" / "sources.csv"
    done = run_ingest(source, tmp_path / "out", private=table)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = {row["folder"] if row["kind"] == "series" else row["file"]: row for row in csv.DictReader(stream)}
    assert {key: (row["became"], row["files"]) for key, row in rows.items()} == {
        "Krawuttke": ("image", "6"),
        "short": ("failed", "2"),
        "letter.pdf": ("no scan", "1"),
        "Brief.Krawuttke": ("no scan", "1"),
        "cut.dcm": ("unreadable", "1"),
    }
    assert rows["Krawuttke"]["description"] == "Thorax Krawuttke"
    (failure,) = done.report.failures
    assert rows["short"]["case_id"] == failure.case_id
    assert rows["short"]["why"] in failure.reason
    assert stat.S_IMODE(table.stat().st_mode) == 0o600
    assert done.document["other_endings"] == {".pdf": 1, "other endings": 1}
    public = {entry["source"]: entry for entry in done.document["sources"]}
    assert set(public) == {rows[name]["source"] for name in ("Krawuttke", "short", "cut.dcm")}
    assert public[rows["Krawuttke"]["source"]]["description"] == "Thorax Krawuttke"  # in no header of a person
