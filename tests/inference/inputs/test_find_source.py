"""The scan of a mask is found again, from files and series, and only if it is still the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.inference import CaseInput, SourceRecord, input_digest, read_input
from medseg.inference.case_record import CaseRecord
from medseg.inference.inputs.find_source import SourcePlaces, find_source
from medseg.origin import SeriesOrigin

from tests.inference.inputs.studies import find, write_study
from tests.ingest.sources import voxels, write_ct, write_itk, write_nifti


def record_of(case: CaseInput) -> CaseRecord:
    assert case.source is not None
    source = case.source.model_copy(update={"sha256": input_digest(case)})
    return CaseRecord(
        case_id=case.case_id,
        mask="mask.nii.gz",
        volume_ml={},
        in_training=False,
        seconds=0,
        peak_memory_bytes=0,
        source=source,
    )


@pytest.mark.parametrize("name", ["a.nii.gz", "a.mhd", "a.nrrd"])
def test_file_is_found_where_it_was(tmp_path: Path, name: str) -> None:
    write = write_nifti if name.endswith(".gz") else write_itk
    write(tmp_path / "in" / name, voxels())
    (case,) = find(tmp_path / "in").cases
    scan = find_source(record_of(case), SourcePlaces.of([tmp_path / "in"]))
    np.testing.assert_array_equal(scan.array, read_input(case, channels=("CT",)).array)


def test_file_below_a_given_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nifti(tmp_path / "in" / "b" / "a.nii.gz", voxels())
    monkeypatch.chdir(tmp_path)
    (case,) = find(Path("in")).cases
    record = record_of(case)
    assert find_source(record, SourcePlaces.of()).geometry.shape == voxels().shape
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    (tmp_path / "more").mkdir()
    (tmp_path / "elsewhere").rename(tmp_path / "more" / "in")
    with pytest.raises(ScanError, match="the scan must be where it was predicted from"):
        find_source(record, SourcePlaces.of())
    assert find_source(record, SourcePlaces.of([tmp_path / "more"])).geometry.shape == voxels().shape


def test_changed_file_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", voxels())
    (case,) = find(tmp_path / "a.nii.gz").cases
    record = record_of(case)
    write_nifti(tmp_path / "a.nii.gz", voxels(seed=3))
    with pytest.raises(ScanError, match=r"must be the one that the mask was drawn on, got .*a\.nii\.gz with other"):
        find_source(record, SourcePlaces.of())


def test_right_one_of_two_files_of_a_name_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nifti(tmp_path / "right" / "a.nii.gz", voxels())
    write_nifti(tmp_path / "wrong" / "a.nii.gz", voxels(seed=3))
    monkeypatch.chdir(tmp_path / "right")
    (case,) = find(Path("a.nii.gz")).cases
    monkeypatch.chdir(tmp_path)
    scan = find_source(
        record_of_at(case, tmp_path / "right"), SourcePlaces.of([tmp_path / "wrong", tmp_path / "right"])
    )
    np.testing.assert_array_equal(scan.array[0], voxels())


def record_of_at(case: CaseInput, folder: Path) -> CaseRecord:
    here = Path.cwd()
    os.chdir(folder)
    try:
        return record_of(case)
    finally:
        os.chdir(here)


def test_series_is_found_with_its_origin(tmp_path: Path) -> None:
    write_study(tmp_path / "in")
    (case,) = find(tmp_path / "in").cases
    scan = find_source(record_of(case), SourcePlaces.of())
    assert isinstance(scan.origin, SeriesOrigin)
    assert scan.origin.files == case.files
    np.testing.assert_array_equal(scan.array, read_input(case, channels=("CT",)).array)


def test_series_is_found_in_another_folder(tmp_path: Path) -> None:
    write_study(tmp_path / "in")
    (case,) = find(tmp_path / "in").cases
    record = record_of(case)
    (tmp_path / "in").rename(tmp_path / "archive")
    with pytest.raises(ScanError, match="got no file"):
        find_source(record, SourcePlaces.of())
    scan = find_source(record, SourcePlaces.of([tmp_path / "archive"]))
    assert isinstance(scan.origin, SeriesOrigin)
    assert len(scan.origin.files) == len(case.files)


def test_series_that_lacks_a_slice_or_has_another_pixel_is_refused(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", PatientID="A")
    (case,) = find(tmp_path / "in").cases
    record = record_of(case)
    whole = case.files[0].read_bytes()
    case.files[0].write_bytes(whole[:-2] + bytes([whole[-2] ^ 1, whole[-1]]))
    with pytest.raises(ScanError, match="got series with other content"):
        find_source(record, SourcePlaces.of())
    case.files[0].unlink()
    with pytest.raises(ScanError, match="must be that of the prediction, with its 6 instances"):
        find_source(record, SourcePlaces.of())


def test_pseudonym_leads_back_by_its_table_alone(tmp_path: Path) -> None:
    write_ct(tmp_path / "in" / "ct", PatientID="A")
    write_nifti(tmp_path / "in" / "files" / "Mustermann.nii.gz", voxels())
    table = tmp_path / "private" / "table.csv"
    cases = find(tmp_path / "in", pseudonyms=table).cases
    assert len(cases) == 2
    for case in cases:
        record = record_of(case)
        assert not [one for one in (record.source.files if record.source else ()) if "Mustermann" in one]
        with pytest.raises(ScanError, match="got a case under a pseudonym"):
            find_source(record, SourcePlaces.of())
        scan = find_source(record, SourcePlaces.of(pseudonyms=table))
        np.testing.assert_array_equal(scan.array, read_input(case, channels=("CT",)).array)
        other = record.model_copy(update={"case_id": "another"})
        with pytest.raises(ScanError, match="the private table must hold the case"):
            find_source(other, SourcePlaces.of(pseudonyms=table))


def test_record_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", voxels())
    (case,) = find(tmp_path / "a.nii.gz").cases
    record = record_of(case).model_copy(update={"source": None})
    with pytest.raises(ScanError, match="got one of an earlier version of medseg"):
        find_source(record, SourcePlaces.of())
    unsealed = record.model_copy(update={"source": SourceRecord(kind="files", files=(str(tmp_path / "a.nii.gz"),))})
    assert find_source(unsealed, SourcePlaces.of()).geometry.shape == voxels().shape
