"""Whatever goes into a prediction is a case, a failure or passed over with a reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.ingest.source_files import FOLDER_AGAIN, LOST_LINK
from medseg.phantom import write_hospital_export
from medseg.scans import write_picture

from tests.dicom_files import decimals, save, write_series
from tests.inference.inputs.studies import GRID, find, write_study
from tests.ingest.sources import block, voxels, write_ct, write_itk, write_nifti, write_rtstruct, write_seg

NOBODY = {"PatientID": "", "PatientName": "", "PatientBirthDate": ""}


@pytest.mark.parametrize("channels", [("CT",), ("MR",), ("image",), ("CT", "T1"), ("red", "green", "blue")])
def test_every_file_of_a_mixed_export_is_accounted_for(tmp_path: Path, channels: tuple[str, ...]) -> None:
    source = tmp_path / "in"
    write_hospital_export(source / "export", patients=3)
    write_study(source / "study", patient="S")
    images = write_ct(source / "labelled" / "CT", PatientID="L")
    write_seg({"liver": block(slice(2, 5), slice(2, 5), slice(1, 3))}, images, source / "labelled" / "seg.dcm")
    write_rtstruct({"liver": (2, 5, 2, 5, 1, 3)}, images, source / "labelled" / "rs.dcm")
    write_itk(source / "itk" / "a.mhd", voxels())
    write_itk(source / "itk" / "b.nrrd", voxels())
    write_nifti(source / "nifti" / "x_0000.nii.gz", voxels())
    write_nifti(source / "nifti" / "x_mask.nii.gz", voxels())
    write_picture(np.zeros((3, 6, 5, 1), np.uint8), source / "photo.png")
    for name in ("DICOMDIR", "notes.txt", ".hidden.dcm", "torn.dcm", "archive.zip", "raw"):
        (source / name).write_bytes(b"some text")
    (source / "empty").touch()
    found = find(source, channels=channels)
    assert found.cases
    reasons = {one.reason for one in found.passed_over}
    assert "an archive, which is not opened; unpack it" in reasons
    assert "it is empty" in reasons


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    for number in range(3):
        write_ct(tmp_path / "archive" / f"P{number}", PatientID=f"ID{number}", seed=number)
    subset = tmp_path / "subset"
    (subset / "P2").mkdir(parents=True)
    shutil.move(tmp_path / "archive" / "P0", subset / "P0")
    (subset / "P1").symlink_to("../archive/P1", target_is_directory=True)
    for file in (tmp_path / "archive" / "P2").iterdir():
        (subset / "P2" / file.name).symlink_to(file)
    (subset / "P2" / "round").symlink_to(subset, target_is_directory=True)
    (subset / "P2" / "gone").symlink_to(subset / "nowhere")
    found = find(subset)
    assert [case.case_id for case in found.cases] == ["ID0", "ID1", "ID2"]
    assert {one.path: one.reason for one in found.passed_over} == {"P2/round": FOLDER_AGAIN, "P2/gone": LOST_LINK}


def test_one_placeholder_id_for_all_gives_a_case_for_each_study(tmp_path: Path) -> None:
    for number in range(4):
        write_ct(tmp_path / f"patient{number}", PatientID="ANONYMOUS", StudyDate="", seed=number)
        write_nifti(tmp_path / f"patient{number}" / "liver_mask.nii.gz", voxels() % 2)
    found = find(tmp_path)
    assert [case.case_id for case in found.cases] == [f"ANONYMOUS_patient{number}" for number in range(4)]
    assert {one.reason.split(";")[0] for one in found.passed_over} == {"a mask by its name or that of its folder"}


def stacked_patients(folder: Path, *values: dict[str, str]) -> None:
    """Two patients under the UIDs of one series, the second one's slices where those of the first end."""
    uids = {"StudyInstanceUID": "1.2.3.1", "FrameOfReferenceUID": "1.2.3.2", "series_uid": "1.2.3"}
    for number, own in enumerate(values):
        place = folder / f"patient_{'AB'[number]}"
        for k, dataset in enumerate(write_series(voxels(seed=number), GRID, place, **uids, **own)):
            dataset.ImagePositionPatient = decimals(GRID.to_lps()[:3] @ [0, 0, k + number * GRID.shape[2], 1])
            save(dataset, place / f"{k:05d}")


def test_two_patients_under_one_series_uid_are_a_failure(tmp_path: Path) -> None:
    stacked_patients(tmp_path, {"PatientID": "A"}, {"PatientID": "B"})
    with pytest.raises(ScanError, match="slices of a series must belong to one patient, got 2 under one series UID"):
        find(tmp_path)


def test_two_patients_without_an_id_under_one_series_uid_are_two_cases(tmp_path: Path) -> None:
    stacked_patients(tmp_path, NOBODY, NOBODY)
    found = find(tmp_path)
    assert [(case.case_id, {path.parent.name for path in case.files}) for case in found.cases] == [
        ("patient_A", {"patient_A"}),
        ("patient_B", {"patient_B"}),
    ]


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "channel"),
    [
        ("chest_ct_dicom", "CT"), ("ct_organs", "CT"), ("dicom_edge", "CT"), ("dicom_edge", "MR"),
        ("dicom_edge", "image"), ("dicom_seg", "CT"), ("nuclei_2d", "image"),
        ("pet_with_seg", "PET"), ("sts_sarcoma", "PET"), ("sts_sarcoma", "image"),
    ],
)  # fmt: skip
def test_every_real_file_is_accounted_for(real_data: Path, folder: str, channel: str) -> None:
    assert find(*(real_data / folder).iterdir(), channels=(channel,)).cases
