"""The checksum by which an unchanged input is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.inference import CaseInput, SourceRecord, input_digest
from medseg.inference.inputs.series_record import find_source_series
from pydicom import dcmread

from tests.inference.inputs.studies import find, write_study
from tests.ingest.sources import GRID, run_ingest, voxels, write_ct, write_itk
from tests.scans.test_voxel_files import HEADERS, write_named


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(b"abc")
    assert input_digest(CaseInput("a", (tmp_path / "a.nii",))) == sha256(b"abc")


def test_digest_of_channels_knows_their_order(tmp_path: Path) -> None:
    files = (tmp_path / "a_0000.nii", tmp_path / "a_0001.nii")
    for number, path in enumerate(files):
        path.write_bytes(bytes([number]))
    lines = "".join(f"{sha256(bytes([number]))}\n" for number in range(2))
    assert input_digest(CaseInput("a", files)) == sha256(lines.encode())
    assert input_digest(CaseInput("a", files[::-1])) != input_digest(CaseInput("a", files))


def test_digest_of_a_header_covers_the_voxels_beside_it(tmp_path: Path) -> None:
    write_itk(tmp_path / "a.mhd", voxels())
    case = CaseInput("a", (tmp_path / "a.mhd",))
    before = input_digest(case)
    voxel_file = tmp_path / "a.zraw"
    voxel_file.write_bytes(voxel_file.read_bytes()[:-1] + b"\7")
    assert input_digest(case) != before


@pytest.mark.parametrize("name", HEADERS)
def test_digest_of_a_header_covers_the_voxels_that_it_names(name: str, tmp_path: Path) -> None:
    case = CaseInput("a", (write_named(tmp_path, name),))
    lines = "".join(f"{sha256((tmp_path / one).read_bytes())}\n" for one in (name, *HEADERS[name][1]))
    assert input_digest(case) == sha256(lines.encode())


def test_files_that_a_header_names_are_part_of_its_case(tmp_path: Path) -> None:
    write_named(tmp_path, "one.mhd")
    for path in (tmp_path / "parts").glob("s0*"):
        path.unlink()
    found = find(tmp_path)
    assert [case.case_id for case in found.cases] == ["one"]
    assert found.passed_over == ()


def test_digest_of_a_series_is_that_of_ingest_and_of_any_order_of_its_files(tmp_path: Path) -> None:
    write_ct(tmp_path / "in", PatientID="A")
    (case,) = find(tmp_path / "in").cases
    lines = sorted(sha256(path.read_bytes()) for path in (tmp_path / "in").iterdir())
    before = input_digest(case)
    assert before == sha256("".join(f"{line}\n" for line in lines).encode())
    (path, *_) = sorted((tmp_path / "in").iterdir())
    dataset = dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(path)
    assert input_digest(case) != before


def test_record_of_a_series_leads_back_to_its_instances(tmp_path: Path) -> None:
    write_study(tmp_path)
    (case,) = find(tmp_path).cases
    assert case.source is not None
    again = SourceRecord.model_validate_json(case.source.model_dump_json())
    (record,) = again.series
    found = find_source_series(record)
    assert tuple(one.path for one in found.instances) == case.files
    assert [dcmread(path).SOPInstanceUID for path in case.files] == [one.sop_uid for one in found.instances]
    assert (record.modality, record.instances, record.series_number) == ("CT", 6, "3")
    assert record.series_uid == dcmread(case.files[0]).SeriesInstanceUID
    assert record.study_uid == dcmread(case.files[0]).StudyInstanceUID
    assert record.frame_of_reference_uid == dcmread(case.files[0]).FrameOfReferenceUID
    case.files[0].unlink()
    with pytest.raises(ScanError, match="the series must be that of the prediction, with its 6 instances"):
        find_source_series(record)


def test_nothing_of_a_name_is_in_a_record(tmp_path: Path) -> None:
    write_study(tmp_path)
    (case,) = find(tmp_path).cases
    assert case.source is not None
    text = case.source.model_dump_json()
    assert not [word for word in ("Mustermann", "Erika", "19640812", "Beispielstadt", "Zuweiser") if word in text]


def test_scan_of_a_study_is_that_of_the_data_set_that_ingest_makes(tmp_path: Path) -> None:
    from medseg.inference import find_inputs, read_input

    write_ct(tmp_path / "in", PatientID="A")
    done = run_ingest(tmp_path / "in", tmp_path / "out")
    (direct,), (ingested,) = find(tmp_path / "in").cases, find_inputs([done.folder], channels=("CT",)).cases
    one, other = (read_input(case, channels=("CT",)) for case in (direct, ingested))
    np.testing.assert_array_equal(one.array, other.array)
    assert one.array.dtype == other.array.dtype == np.float32
    assert one.geometry.is_close(other.geometry)
    assert one.geometry.is_close(GRID)
