from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from medseg.records import Manifest
from medseg.scans import read_scan

from tests.audit.dirty import Dataset
from tests.conftest import Medseg


@pytest.fixture
def dataset(cohort: tuple[Manifest, Path], tmp_path: Path) -> Dataset:
    return Dataset(cohort[1], tmp_path / "dataset")


def test_clean_dataset_ends_with_0_and_says_where_the_page_lies(
    medseg: Medseg, cohort: tuple[Manifest, Path], tmp_path: Path
) -> None:
    outcome = medseg("audit", cohort[1], "--out", tmp_path / "audit", "--workers", 2)
    assert outcome.code == 0
    assert outcome.out.splitlines()[-2:] == [
        "0 error(s), 0 warning(s), 2 note(s)",
        f"page to review: {tmp_path / 'audit/audit.html'}",
    ]
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {"audit.json", "audit.html"}


def test_results_go_beside_the_dataset_without_out(medseg: Medseg, dataset: Dataset) -> None:
    assert medseg("audit", dataset.folder / "dataset.json").code == 0
    assert (dataset.folder / "audit.html").is_file()
    assert medseg("audit", dataset.folder).code == 0  # and may be made again


def test_errors_end_with_1_and_are_told(medseg: Medseg, dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label("phantom_01_0"), lambda label: label * 0)
    outcome = medseg("audit", dataset.folder)
    assert outcome.code == 1
    assert "   error      1  empty label" in outcome.out
    assert "error: case phantom_01_0: label must hold at least one labelled voxel, got none; draw it" in outcome.out
    assert json.loads((dataset.folder / "audit.json").read_text())["counts"]["errors"] == 1


def test_warnings_end_with_0(medseg: Medseg, dataset: Dataset) -> None:
    dataset.edit_voxels(dataset.label("phantom_01_0"), lambda label: label.astype(np.float32))
    outcome = medseg("audit", dataset.folder)
    assert outcome.code == 0
    assert " warning      1  label type" in outcome.out


def test_fix_writes_a_version_that_audits_clean(medseg: Medseg, dataset: Dataset, tmp_path: Path) -> None:
    dataset.image("phantom_01_0").write_bytes(b"nothing")
    dataset.edit_voxels(dataset.label("phantom_02_0"), lambda label: label.astype(np.float32))
    outcome = medseg("audit", dataset.folder, "--fix", tmp_path / "fixed")
    assert outcome.code == 1
    assert "fixed: phantom_01_0: left out of the manifest" in outcome.out
    assert "fixed: phantom_02_0: label labelsTr/phantom_02_0.nii.gz stored as unsigned whole numbers" in outcome.out
    assert "2 repair(s)" in outcome.out
    fixes = json.loads((dataset.folder / "audit.json").read_text())["fixes"]
    assert [fix["case_id"] for fix in fixes] == ["phantom_01_0", "phantom_02_0"]
    again = medseg("audit", tmp_path / "fixed")
    assert again.code == 0
    assert "0 error(s), 0 warning(s)" in again.out


def test_fix_into_a_folder_that_exists_is_a_usage_error(medseg: Medseg, dataset: Dataset, tmp_path: Path) -> None:
    outcome = medseg("audit", dataset.folder, "--fix", tmp_path)
    assert outcome.code == 2
    assert "must be a new folder" in outcome.err


def test_folder_that_cannot_be_written_to_is_a_usage_error_that_names_out(medseg: Medseg, dataset: Dataset) -> None:
    file = dataset.folder / "file"
    file.write_text("")
    outcome = medseg("audit", dataset.folder, "--out", file)
    assert outcome.code == 2
    assert "must be writable" in outcome.err


def test_data_root_may_lie_elsewhere(medseg: Medseg, dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "manifest").mkdir()
    shutil.move(dataset.folder / "dataset.json", tmp_path / "manifest/dataset.json")
    outcome = medseg("audit", tmp_path / "manifest", "--data-root", dataset.folder)
    assert outcome.code == 0
    assert (tmp_path / "manifest/audit.html").is_file()


def test_manifest_that_cannot_be_read_ends_with_1(medseg: Medseg, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{")
    outcome = medseg("audit", tmp_path)
    assert outcome.code == 1
    assert "must be JSON" in outcome.err


def test_what_readers_warn_of_is_not_told_twice(
    medseg: Medseg, dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    def edit(header) -> None:  # type: ignore[no-untyped-def]
        affine = header.get_qform()
        affine[2, 3] += 9
        header.set_qform(affine, code=1)

    dataset.edit_header(dataset.image("phantom_01_0"), edit)
    outcome = medseg("audit", dataset.folder)
    assert outcome.code == 1
    assert [record for record in caplog.records if record.name.startswith("medseg")] == []
    read_scan(dataset.image("phantom_01_0"), case_id="a")
    assert [record.name for record in caplog.records] == ["medseg.scans.nifti"]
