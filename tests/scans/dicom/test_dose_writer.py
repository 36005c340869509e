"""RT Dose out: the same Gy at the same millimetres for every reader, in the study of the scan, and never a plan's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from medseg.errors import DeliveryError
from medseg.records import Scan
from medseg.scans.dicom import NOT_FOR_TREATMENT, read_dose, read_dose_object, write_rtdose
from pydicom.filereader import dcmread

from tests.dicom_files import PATIENT
from tests.grids import grid
from tests.scans.dicom.test_contour_writer import ALGORITHM, scan_of

AXES = ("LPS", "RAS", "PIL", "SRA", "LAI")


def dose_on(scan: Scan) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.asarray(rng.uniform(0.01, 75, scan.geometry.shape), np.float32)


def write(scan: Scan, path: Path, dose: np.ndarray | None = None) -> tuple[str, ...]:
    return write_rtdose(dose_on(scan) if dose is None else dose, scan, path, algorithm=ALGORITHM)


@pytest.mark.parametrize("axcodes", AXES)
def test_every_reader_finds_the_same_gy_at_the_same_millimetres(axcodes: str, tmp_path: Path) -> None:
    slanted = grid(
        (9, 7, 6), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes=axcodes
    )
    scan, path = scan_of(tmp_path, slanted), tmp_path / "dose.dcm"
    dose = dose_on(scan)
    assert write(scan, path) == ()
    voxels = np.argwhere(np.ones(dose.shape))
    world = scan.geometry.world_mm(voxels.astype(float))

    own = read_dose(path).scan
    found = np.rint(own.geometry.voxels(world)).astype(int)
    np.testing.assert_allclose(own.geometry.world_mm(found.astype(float)), world, atol=1e-4)
    np.testing.assert_allclose(own.array[0][tuple(found.T)], dose[tuple(voxels.T)], rtol=1e-6)

    image = sitk.ReadImage(str(path))  # ITK shows stored numbers
    stored = sitk.GetArrayFromImage(image).transpose(2, 1, 0) * float(image.GetMetaData("3004|000e"))
    for place, point in zip(voxels[:: len(voxels) // 9], world[:: len(voxels) // 9], strict=True):
        index = image.TransformPhysicalPointToIndex([-point[0], -point[1], point[2]])
        assert stored[index] == pytest.approx(dose[tuple(place)], rel=1e-6)

    dataset = dcmread(path)
    by_hand = dataset.pixel_array * float(dataset.DoseGridScaling)
    assert np.sort(by_hand, axis=None) == pytest.approx(np.sort(dose, axis=None), rel=1e-6)


def test_it_belongs_to_the_patient_and_study_of_the_scan_and_to_no_plan(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    write(scan, tmp_path / "dose.dcm")
    dataset, source = dcmread(tmp_path / "dose.dcm"), dcmread(next((tmp_path / "images").iterdir()))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.PatientID == PATIENT["PatientID"]
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert (dataset.DoseUnits, dataset.DoseType) == ("GY", "PHYSICAL")
    assert "ReferencedRTPlanSequence" not in dataset
    assert read_dose_object(tmp_path / "dose.dcm").plan_uids == frozenset()
    assert read_dose_object(tmp_path / "dose.dcm").is_predicted
    assert dataset.DoseComment == NOT_FOR_TREATMENT
    assert "not for treatment" in dataset.SeriesDescription
    assert dataset.DerivationDescription == "predicted by Prostata-Modell 0123abcd; research software"
    assert len(dataset.ReferencedImageSequence) == scan.geometry.shape[2]


def test_equal_doses_are_one_object_and_others_are_not(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    dose = dose_on(scan)
    for name, values in (("a", dose), ("b", dose), ("c", dose * np.float32(1.01))):
        write(scan, tmp_path / name, values)
    first, again, other = (read_dose_object(tmp_path / name).sop_uid for name in "abc")
    assert first == again != other


def test_negative_predictions_become_0_and_are_counted(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    dose = dose_on(scan)
    dose[0, 0, :2] = -0.25
    (note,) = write(scan, tmp_path / "dose.dcm", dose)
    assert note == f"2 of {dose.size} voxels were predicted below 0 Gy, down to -0.25, and became 0"
    assert note in dcmread(tmp_path / "dose.dcm").DerivationDescription
    assert read_dose(tmp_path / "dose.dcm").scan.array.min() == 0


def test_a_dose_of_nothing_is_written_as_such(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    write(scan, tmp_path / "dose.dcm", np.zeros(scan.geometry.shape, np.float32))
    assert not read_dose(tmp_path / "dose.dcm").scan.array.any()


def test_another_grid_unknown_doses_and_scans_without_dicom_are_refused(tmp_path: Path) -> None:
    scan, path = scan_of(tmp_path), tmp_path / "dose.dcm"
    dose = dose_on(scan)
    with pytest.raises(DeliveryError, match="must have the shape of its scan"):
        write(scan, path, dose[1:])
    with pytest.raises(DeliveryError, match="must be of a scan read from a DICOM series"):
        write(Scan(scan.array, scan.geometry, None), path, dose)
    dose[3, 3, 3] = np.nan
    with pytest.raises(DeliveryError, match=r"every dose must be known, got 1 voxel\(s\) that are not"):
        write(scan, path, dose)
    assert not path.exists()


def _as_16_bits(path: Path) -> None:
    """The object with its doses in 16 bits, since dciodvfy stops at 32."""
    dataset: Any = dcmread(path)
    dataset.PixelData = (dataset.pixel_array >> 16).astype("<u2").tobytes()
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.save_as(path)


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    check = shutil.which("dciodvfy")
    if check is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    write(scan_of(tmp_path), tmp_path / "dose.dcm")
    _as_16_bits(tmp_path / "dose.dcm")
    done = subprocess.run([check, str(tmp_path / "dose.dcm")], capture_output=True, text=True, check=False)
    assert "RTDose" in done.stdout + done.stderr
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")] == []
