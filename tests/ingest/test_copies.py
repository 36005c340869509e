from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from medseg.ingest import Pseudonyms
from medseg.ingest.copies import COPY, voxel_digest

from tests.grids import ALL_AXCODES
from tests.ingest.sources import (
    GRID,
    KEY,
    block,
    box_mask,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
)

BOX = (2, 5, 2, 5, 1, 3)
LIVER = block(slice(1, 5), slice(2, 6), slice(1, 4)).astype(np.uint8)


def turned(axcodes: str) -> np.ndarray:
    """The voxels of the CT, stored along other axes."""
    maps = GRID.reoriented(axcodes).axis_maps(GRID)
    flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in maps)
    return np.ascontiguousarray(voxels().transpose([found.source_axis for found in maps])[flips])


@pytest.mark.parametrize("axcodes", ["LPS", "RAS", "ASR"])
def test_export_beside_its_series_is_set_aside(tmp_path: Path, axcodes: str) -> None:
    images = write_ct(tmp_path / "src" / "p1" / "dicom")
    write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / "p1" / "rs")
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", turned(axcodes), GRID.reoriented(axcodes))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.aside == {COPY.message: 1}
    assert done.case.modality == "CT"
    assert len(list((done.folder / "images").iterdir())) == 1
    np.testing.assert_array_equal(done.label() > 0, box_mask(BOX))


def test_export_with_a_mask_takes_the_place_and_the_patient_of_its_series(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "dicom" / "one", PatientID="1234567")
    write_ct(tmp_path / "src" / "dicom" / "more", PatientID="1234567", seed=4)
    write_nifti(tmp_path / "src" / "exports" / "p1" / "ct.nii.gz", voxels())
    write_nifti(tmp_path / "src" / "exports" / "p1" / "ct_mask.nii.gz", LIVER)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    (case,) = done.manifest.cases
    np.testing.assert_array_equal(done.label(case) > 0, LIVER)
    assert {entry["patient_id"] for entry in done.document["cases"]} == {Pseudonyms(KEY).patient("1234567")}
    assert case.patient_id == Pseudonyms(KEY).patient("1234567")


def test_file_beside_the_series_of_one_patient_is_that_patients(tmp_path: Path) -> None:
    for patient in ("Meier", "Schmidt"):
        write_ct(tmp_path / "src" / patient / "CT", PatientID=f"id of {patient}", seed=ord(patient[0]))
        write_nifti(tmp_path / "src" / patient / "nifti" / "pet.nii.gz", voxels(seed=2 * ord(patient[0])))
        write_nifti(tmp_path / "src" / patient / "nifti" / "pet_mask.nii.gz", LIVER)
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert done.report.is_clean
    assert len(done.report.cases) == 4
    ids = {Pseudonyms(KEY).patient(f"id of {patient}") for patient in ("Meier", "Schmidt")}
    assert {entry["patient_id"] for entry in done.document["cases"]} == ids


def test_two_files_or_two_series_alike_are_both_kept(tmp_path: Path) -> None:
    for patient in ("a", "b"):
        write_ct(tmp_path / "src" / patient, PatientID=f"100{patient}")
    for patient in ("c", "d"):
        write_nifti(tmp_path / "src" / patient / "ct.nii.gz", voxels(seed=2))
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    assert len(done.manifest.cases) == 4
    assert done.report.aside == {}


def test_export_that_differs_in_one_voxel_is_kept(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "dicom")
    array = voxels()
    array[3, 4, 2] += 1
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", array)
    assert len(run_ingest(tmp_path / "src", tmp_path / "out").manifest.cases) == 2


def test_export_comes_back_when_its_series_is_gone(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "dicom")
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", voxels())
    first = run_ingest(tmp_path / "src", tmp_path / "out")
    assert run_ingest(tmp_path / "src", tmp_path / "out").document == first.document
    shutil.rmtree(tmp_path / "src" / "dicom")
    done = run_ingest(tmp_path / "src", tmp_path / "out")
    np.testing.assert_array_equal(done.image()[0], voxels())


def test_export_comes_back_also_under_another_mapping(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "dicom")
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", voxels())
    run_ingest(tmp_path / "src", tmp_path / "out")
    shutil.rmtree(tmp_path / "src" / "dicom")
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping="ignore: [couch]")
    np.testing.assert_array_equal(done.image()[0], voxels())


def test_export_that_cannot_come_back_is_a_failure_and_no_case(tmp_path: Path) -> None:
    write_ct(tmp_path / "src" / "dicom")
    write_nifti(tmp_path / "src" / "p1" / "ct.nii.gz", voxels())
    run_ingest(tmp_path / "src", tmp_path / "out")
    shutil.rmtree(tmp_path / "src" / "dicom")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("medseg.ingest.build_image.read_scan", out_of_memory)
        done = run_ingest(tmp_path / "src", tmp_path / "out")
    (failure,) = done.report.failures
    assert "memory must hold it" in failure.reason
    assert done.report.cases == ()


def out_of_memory(path: Path, *, case_id: str) -> None:
    raise MemoryError


@pytest.mark.parametrize("axcodes", ALL_AXCODES[::5])
def test_digest_does_not_depend_on_the_order_of_the_axes_or_the_type(axcodes: str) -> None:
    own = voxel_digest(voxels()[np.newaxis], GRID)
    assert voxel_digest(turned(axcodes)[np.newaxis].astype(np.float64), GRID.reoriented(axcodes)) == own
    assert voxel_digest(voxels(seed=1)[np.newaxis], GRID) != own
