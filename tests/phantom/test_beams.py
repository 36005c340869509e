"""The made-up doses: what the formulas promise, on any grid, as NIfTI and as DICOM."""

from __future__ import annotations

import hashlib
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.phantom import PRESCRIPTION_GY, STRUCTURES, BeamPatient, write_dose_cohort, write_dose_studies
from medseg.scans.dicom import draw_label_object, read_dose, read_dose_object, read_label_object

from tests.dicom_files import found_in
from tests.grids import grid

COARSE = grid((58, 42, 16), spacing_mm=(6, 6, 8), origin_mm=(-171, -123, -60))


def at(point_mm: tuple[float, float, float]) -> Geometry:
    """A grid of one voxel."""
    return grid((1, 1, 1), origin_mm=point_mm)


@pytest.mark.parametrize("seed", range(6))
def test_the_centre_of_the_target_gets_the_prescription_and_the_cord_is_spared(seed: int) -> None:
    patient = BeamPatient(seed)
    centre = at(tuple(patient.target_mm))
    assert patient.dose_gy(centre).item() == pytest.approx(PRESCRIPTION_GY, rel=1e-6)
    assert patient.label(centre).item() == STRUCTURES["PTV"]
    dose, label = patient.dose_gy(COARSE), patient.label(COARSE)
    assert np.median(dose[label == STRUCTURES["PTV"]]) == pytest.approx(PRESCRIPTION_GY, rel=0.05)
    assert dose[label == STRUCTURES["PTV"]].min() > 0.8 * PRESCRIPTION_GY
    assert dose[label == STRUCTURES["cord"]].mean() < 0.5 * PRESCRIPTION_GY
    assert dose.max() < 1.15 * PRESCRIPTION_GY


def test_no_dose_lies_outside_of_the_body() -> None:
    patient = BeamPatient(3)
    air = patient.image(COARSE) < -500
    assert air.any()
    assert not patient.dose_gy(COARSE)[air].any()


def test_a_target_in_the_middle_gets_doses_that_are_the_same_on_both_sides() -> None:
    patient = BeamPatient(4)
    patient.target_mm[0] = 0.0  # beams lie at 0, 72, 144, 216 and 288 degrees
    dose = patient.dose_gy(grid((41, 30, 5), spacing_mm=(7, 7, 9), origin_mm=(-140, -100, -18)))
    np.testing.assert_allclose(dose, dose[::-1], rtol=1e-4, atol=1e-4)


def test_dose_falls_with_depth_by_half_a_per_cent_per_millimetre() -> None:
    """Along the axis of the beam from above, where the others do not reach, 30 mm and more below the skin."""
    patient = BeamPatient(1)
    patient.target_mm[:], patient.target_radii_mm[:] = (0.0, -20.0, 0.0), 10.0
    shallow, deep = (patient.dose_gy(at((0.0, y, 0.0))).item() for y in (69.0, 57.0))
    assert deep / shallow == pytest.approx(np.exp(-0.005 * 12), rel=0.02)


def test_a_point_has_one_dose_on_any_grid() -> None:
    patient = BeamPatient(2)
    fine = grid((11, 11, 11), spacing_mm=(2, 3, 4), angles=(0.3, 0.1, -0.2), origin_mm=tuple(patient.target_mm))
    dose = patient.dose_gy(fine)
    for voxel in ((0, 0, 0), (10, 3, 7), (5, 9, 2)):
        point = fine.world_mm(np.array([voxel], float))[0]
        assert patient.dose_gy(at(tuple(point))).item() == pytest.approx(dose[voxel], rel=1e-5)


def test_a_cohort_is_a_manifest_of_doses(tmp_path: Path) -> None:
    write_dose_cohort(tmp_path, patients=3, test_patients=1, seed=2, spacing_mm=(12, 12, 16))
    manifest, root = load_manifest(tmp_path)
    assert (manifest.task, manifest.channels, manifest.labels) == ("regression", ("CT", "PTV"), STRUCTURES)
    assert manifest.quantities is not None
    assert (manifest.quantities["dose"].unit, manifest.quantities["dose"].prescription) == ("Gy", PRESCRIPTION_GY)
    assert [case.split for case in manifest.cases] == ["training", "training", "test"]
    case = manifest.cases[0]
    assert case.quantities
    assert case.label
    ct, target, dose, label = (
        nibabel.load(root / path) for path in (*case.images, case.quantities["dose"], case.label)
    )
    for image in (target, dose, label):
        np.testing.assert_array_equal(image.affine, ct.affine)
    assert dose.get_data_dtype() == np.float32
    np.testing.assert_array_equal(target.get_fdata() == 1, label.get_fdata() == STRUCTURES["PTV"])
    geometry = Geometry(ct.shape, ct.affine)
    np.testing.assert_allclose(dose.get_fdata(), BeamPatient(2000).dose_gy(geometry), atol=1e-3)


def test_the_same_seed_writes_the_same_cohort(tmp_path: Path) -> None:
    sums = []
    for name in ("one", "two"):
        write_dose_cohort(tmp_path / name, patients=1, test_patients=0, spacing_mm=(20, 20, 20))
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        sums.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
    assert sums[0] == sums[1]


def test_a_study_holds_ct_structures_and_dose_of_one_patient(tmp_path: Path) -> None:
    (study,) = write_dose_studies(tmp_path, patients=1, spacing_mm=(12, 12, 16), dose_spacing_mm=(15, 15, 10))
    (found,) = [one for one in found_in(tmp_path) if not one.problems]
    assert (found.first.modality, found.first.identity.patient_id) == ("CT", study.patient_id)
    folder = tmp_path / "patient_00"
    label_object, dose_object = read_label_object(folder / "RS.dcm"), read_dose_object(folder / "RD.dcm")
    assert label_object.names == ("PTV", "cord")
    assert label_object.frame_of_reference_uid == dose_object.frame_of_reference_uid
    assert dose_object.frame_of_reference_uid == found.first.frame_of_reference_uid
    drawn = {one.name: one.mask for one in draw_label_object(label_object, study.geometry)}
    for name in ("PTV", "cord"):
        np.testing.assert_array_equal(drawn[name], study.patient.label(study.geometry) == STRUCTURES[name])
    dose = read_dose(folder / "RD.dcm").scan
    np.testing.assert_allclose(dose.array[0], study.patient.dose_gy(dose.geometry), atol=1e-4)
    assert dose.geometry.is_close(study.dose_geometry)
    assert not dose.geometry.is_close(study.geometry)
