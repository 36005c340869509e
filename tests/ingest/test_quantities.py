"""Doses and series as quantities of a dataset: matched, resampled, counted, or refused with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from medseg.errors import ConfigError
from medseg.geometry import Geometry
from medseg.manifest import load_manifest
from medseg.manifest.case_quantities import read_case_quantities
from medseg.phantom import STRUCTURES, DoseStudy, write_dose_studies
from medseg.records import Case
from medseg.scans import read_label, read_scan
from medseg.scans.dicom import read_dose
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.uid import generate_uid
from scipy import ndimage

from tests.ingest.sources import Ingested, run_ingest
from tests.ingest.test_channels import PET, ct_within, plane, write_plane

LABELS = "labels: {PTV: {value: 1, names: [PTV]}, cord: {value: 2, names: [cord]}}\n"
DOSE = f"{LABELS}channels: [{{name: CT, modality: CT}}]\nquantities: {{dose: {{unit: Gy, prescription: 60}}}}\n"
WITH_TARGET = DOSE.replace("modality: CT}]", "modality: CT}, {name: PTV, structure: PTV}]")
SUMMED = DOSE.replace("prescription: 60", "prescription: 60, sum_beams: true")
SPACING, DOSE_SPACING = (12.0, 12.0, 16.0), (10.0, 10.0, 8.0)


def studies(folder: Path, patients: int = 1, **more: Any) -> list[DoseStudy]:
    return write_dose_studies(
        folder, patients=patients, **{"spacing_mm": SPACING, "dose_spacing_mm": DOSE_SPACING} | more
    )


def changed(path: Path, change: Callable[[Dataset], None], *, as_: str | None = None) -> Path:
    dataset = dcmread(path)
    change(dataset)
    target = path.with_name(as_) if as_ else path
    dataset.save_as(target)
    return target


def dose_of(ingested: Ingested, case: Case | None = None) -> np.ndarray:
    case = case or ingested.case
    assert case.quantities is not None
    return np.asarray(nibabel.load(ingested.folder / case.quantities["dose"]).dataobj)


def expected(ingested: Ingested, study: DoseStudy) -> np.ndarray:
    """The dose of the formula on the grid of the case, NaN beyond half a voxel round the dose's grid."""
    geometry = read_scan([ingested.folder / ingested.case.images[0]], case_id="a").geometry
    dose = study.patient.dose_gy(geometry)
    voxels = np.argwhere(np.ones(geometry.shape)).astype(float)
    inside = study.dose_geometry.voxels(geometry.world_mm(voxels))
    reach = np.array(study.dose_geometry.shape) - 0.5
    dose[~((inside >= -0.5) & (inside <= reach)).all(axis=1).reshape(geometry.shape)] = np.nan
    return dose


def test_a_plans_dose_lies_on_the_grid_of_its_ct_and_is_unknown_where_it_was_not_calculated(tmp_path: Path) -> None:
    (study,) = studies(tmp_path / "in", spacing_mm=(6, 6, 8), dose_spacing_mm=(2.5, 2.5, 2.5))
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE)
    found, truth = dose_of(done), expected(done, study)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(found), np.isnan(truth))
    body = ~np.isnan(truth) & (study.patient.image(study.geometry) > -500)
    error = np.abs(found - truth)[body]
    assert error.mean() < 0.1  # Gy, of the interpolation in penumbras and at the skin
    notes = done.document["cases"][0]["notes"]
    share = f"{np.isnan(truth).mean():.1%}"
    assert f"dose: {share} of the reference lies outside of it; there it is not known, and counts nowhere" in notes
    assert "dose: RTDOSE matched by frame of reference" in notes


def test_outside_of_the_dose_may_be_zero_where_the_mapping_says_so(tmp_path: Path) -> None:
    (study,) = studies(tmp_path / "in")
    mapping = DOSE.replace("prescription: 60", "prescription: 60, outside: zero")
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=mapping)
    outside = np.isnan(expected(done, study))
    assert outside.any()
    assert not dose_of(done)[outside].any()


def test_the_manifest_is_of_a_regression_with_structures_as_label_and_channel(tmp_path: Path) -> None:
    (study,) = studies(tmp_path / "in")
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET)
    manifest, root = load_manifest(tmp_path / "out")
    assert (manifest.task, manifest.channels) == ("regression", ("CT", "PTV"))
    assert manifest.quantities is not None
    assert (manifest.quantities["dose"].unit, manifest.quantities["dose"].prescription) == ("Gy", 60)
    case = done.case
    assert (case.split, len(case.images)) == ("training", 2)
    label, grid = read_label(root / str(case.label), case_id=case.case_id)
    target = read_scan([root / case.images[1]], case_id=case.case_id)
    np.testing.assert_array_equal(target.array[0] == 1, label == STRUCTURES["PTV"])
    np.testing.assert_array_equal(label, study.patient.label(grid))
    values = read_case_quantities(case, manifest, root, grid=grid)  # which checks grid and checksums
    np.testing.assert_array_equal(values[0], dose_of(done))
    assert done.document["files_became"] == {"image": study.geometry.shape[2], "label": 1, "quantity": 1}
    assert done.report.is_clean


def test_a_target_under_another_label_is_a_whole_channel(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    both = WITH_TARGET.replace(
        "cord: {value: 2, names: [cord]}", "cord: {value: 2, names: [cord]}, top: {value: 3, names: [top]}"
    )

    def add_copy(dataset: Dataset) -> None:
        for sequence, number in (
            ("StructureSetROISequence", "ROINumber"),
            ("ROIContourSequence", "ReferencedROINumber"),
            ("RTROIObservationsSequence", "ReferencedROINumber"),
        ):
            copy = Dataset()
            copy.update(dataset[sequence][0])
            setattr(copy, number, 9)
            if sequence == "StructureSetROISequence":
                copy.ROIName = "top"
            dataset[sequence].value.append(copy)

    changed(tmp_path / "in" / "patient_00" / "RS.dcm", add_copy)
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=both)
    assert not (done.label() == 1).any()
    np.testing.assert_array_equal(done.image()[1] == 1, done.label() == 3)


def _as_beam(number: int, factor: float, plan: str | None = None) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        beam, group = Dataset(), Dataset()
        beam.ReferencedBeamNumber, group.ReferencedFractionGroupNumber = number, 1
        group.ReferencedBeamSequence = [beam]
        dataset.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = [group]
        if plan:
            dataset.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = plan
        dataset.DoseSummationType, dataset.SOPInstanceUID = "BEAM", generate_uid()
        dataset.DoseGridScaling = f"{float(dataset.DoseGridScaling) * factor:.9e}"

    return change


def _beams(folder: Path, *changes: Callable[[Dataset], None]) -> None:
    """The dose of a plan in parts, and no longer whole."""
    path = folder / "patient_00" / "RD.dcm"
    for number, change in enumerate(changes):
        changed(path, change, as_=f"RD{number}.dcm")
    path.unlink()


def test_beams_are_summed_if_the_mapping_asks_for_it_and_refused_otherwise(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    whole = dose_of(run_ingest(tmp_path / "in", tmp_path / "whole", mapping=SUMMED))
    _beams(tmp_path / "in", _as_beam(1, 0.25), _as_beam(2, 0.75))
    summed = run_ingest(tmp_path / "in", tmp_path / "summed", mapping=SUMMED)
    np.testing.assert_allclose(dose_of(summed), whole, rtol=1e-6)
    assert "dose: the doses of 2 beams were summed" in summed.document["cases"][0]["notes"]
    refused = run_ingest(tmp_path / "in", tmp_path / "refused", mapping=DOSE)
    (failure,) = refused.report.failures
    assert "must be the dose of a whole plan, got 2 of the summation type BEAM" in failure.reason
    assert "set sum_beams in the mapping to sum beams" in failure.reason
    assert refused.document["files_became"]["failed"] == 3 + len(list((tmp_path / "in").rglob("CT.*")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ((_as_beam(1, 0.5), _as_beam(1, 0.5)), "must each be there once, got 2 doses of 1 beams"),
        ((_as_beam(1, 0.5), _as_beam(2, 0.5, plan="1.2.3")), "must be of one plan, got 2 plans"),
        ((lambda one: setattr(one, "DoseSummationType", "FRACTION"),), "got 1 of the summation type FRACTION"),
    ],
)
def test_parts_that_are_no_plan_are_refused(changes: Any, message: str, tmp_path: Path) -> None:
    studies(tmp_path / "in")
    _beams(tmp_path / "in", *changes)
    (failure,) = run_ingest(tmp_path / "in", tmp_path / "out", mapping=SUMMED).report.failures
    assert message in failure.reason


def test_two_plans_are_refused_until_the_mapping_tells_them_apart(tmp_path: Path) -> None:
    studies(tmp_path / "in")

    def as_boost(dataset: Dataset) -> None:
        dataset.SOPInstanceUID, dataset.SeriesDescription = generate_uid(), "boost"

    changed(tmp_path / "in" / "patient_00" / "RD.dcm", as_boost, as_="RD2.dcm")
    (failure,) = run_ingest(tmp_path / "in", tmp_path / "two", mapping=DOSE).report.failures
    assert "must be one dose of a plan, got 2" in failure.reason
    told = DOSE.replace("prescription: 60", "prescription: 60, description: 'plan*'")
    done = run_ingest(tmp_path / "in", tmp_path / "told", mapping=told)
    assert done.report.failures == ()
    assert done.document["files_became"]["set aside"] == 1  # the boost


def test_a_dose_that_medseg_predicted_is_never_learned_from(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    changed(tmp_path / "in" / "patient_00" / "RD.dcm", lambda dataset: setattr(dataset, "Manufacturer", "medseg"))
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE)
    assert (done.case.split, done.case.quantities) == ("test", None)
    assert done.report.aside == {"a dose that medseg predicted, which is no reference": 1}


@pytest.mark.parametrize("name", ["../dose", "mean", ""])
def test_names_of_quantities_are_names_of_folders(name: str, tmp_path: Path) -> None:
    studies(tmp_path / "in")
    with pytest.raises(ConfigError, match="quantity names must be usable as folder names"):
        run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE.replace("dose:", f"{name!r}:"))


def test_a_copy_of_a_dose_counts_once(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    shutil.copy(tmp_path / "in" / "patient_00" / "RD.dcm", tmp_path / "in" / "patient_00" / "copy")
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE)
    assert done.report.failures == ()
    assert done.document["files_became"]["copy"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"DoseUnits": "RELATIVE"}, "dose units must be GY, got RELATIVE; export the dose as absolute dose in Gy"),
        ({"FrameOfReferenceUID": "1.2.3"}, "no image of its patient in its frame of reference"),
        ({"PatientID": "someone else"}, "no image of its patient in its frame of reference"),
    ],
)
def test_a_dose_of_nobody_is_listed_and_its_case_waits_without_one(
    change: dict[str, str], message: str, tmp_path: Path
) -> None:
    studies(tmp_path / "in", patients=2)
    path = tmp_path / "in" / "patient_00" / "RD.dcm"
    changed(path, lambda dataset: [setattr(dataset, keyword, value) for keyword, value in change.items()])
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE)
    assert [message in line for line in done.report.lost_labels] == [True]
    assert not done.report.is_clean
    assert sorted((case.split, case.quantities is None) for case in done.manifest.cases) == [
        ("test", True),
        ("training", False),
    ]
    assert "unaccounted" not in done.document["files_became"]


def test_a_case_without_the_structure_of_a_channel_fails_alone(tmp_path: Path) -> None:
    studies(tmp_path / "in", patients=2)
    (tmp_path / "in" / "patient_01" / "RS.dcm").unlink()
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET)
    (failure,) = done.report.failures
    assert "channel PTV must be the mask of label PTV, got a case without labels" in failure.reason
    assert len(done.manifest.cases) == 1


def test_doses_are_set_aside_where_no_quantity_asks_for_them(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    done = run_ingest(tmp_path / "in", tmp_path / "out")
    assert done.manifest.task == "segmentation"
    assert done.report.aside == {"it is a dose; name it under quantities in the mapping if it is to be learned": 1}


def test_a_second_run_reads_nothing_again_and_a_changed_dose_is_read(tmp_path: Path) -> None:
    studies(tmp_path / "in")
    first = run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")}
    dose = dose_of(first)
    run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.nii.gz")} == before

    def halve(dataset: Dataset) -> None:
        dataset.DoseGridScaling = f"{float(dataset.DoseGridScaling) / 2:.9e}"

    changed(tmp_path / "in" / "patient_00" / "RD.dcm", halve)
    again = run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET)
    np.testing.assert_allclose(dose_of(again), dose / 2, rtol=1e-6)
    without = run_ingest(tmp_path / "in", tmp_path / "out", mapping=WITH_TARGET.split("quantities")[0])
    assert without.case.quantities is None
    assert not list((tmp_path / "out" / "quantities").rglob("*.nii.gz"))


def test_a_dose_whose_grid_is_the_cts_is_not_interpolated(tmp_path: Path) -> None:
    (study,) = studies(tmp_path / "in")
    from medseg.scans.dicom import write_dicom_dose

    path = tmp_path / "in" / "patient_00" / "RD.dcm"
    keywords = ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID")
    header = {keyword: dcmread(path)[keyword].value for keyword in keywords}
    write_dicom_dose(study.patient.dose_gy(study.geometry), study.geometry, path, header=header)
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=DOSE)
    stored = read_dose(path).scan
    voxels = np.argwhere(np.ones(stored.geometry.shape))
    grid = read_scan([tmp_path / "out" / done.case.images[0]], case_id="a").geometry
    places = np.rint(grid.voxels(stored.geometry.world_mm(voxels.astype(float)))).astype(int)
    np.testing.assert_array_equal(dose_of(done)[tuple(places.T)], stored.array[0][tuple(voxels.T)])


def test_a_series_is_a_quantity_on_the_grid_of_the_case_and_no_case_of_its_own(tmp_path: Path) -> None:
    """A linear function of millimetres is exact under linear interpolation."""
    study = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    _, inside = ct_within(tmp_path / "in" / "ct", **study)
    write_plane(tmp_path / "in" / "pet", **study)
    mapping = "channels: [{name: CT, modality: CT}]\nquantities: {PET: {unit: Bq/ml, modality: PT}}\n"
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=mapping)
    assert (done.case.split, len(done.case.images)) == ("training", 1)
    assert done.case.quantities is not None
    image = nibabel.load(done.folder / done.case.quantities["PET"])
    truth = plane(Geometry(image.shape, image.affine))
    np.testing.assert_allclose(image.get_fdata(), truth, atol=0.011)  # stored to a hundredth
    assert done.document["files_became"] == {"image": inside.shape[2], "quantity": PET.shape[2]}
    assert done.report.is_clean


@pytest.mark.data
def test_pet_lies_on_t1_as_another_library_resamples_it(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "sts_sarcoma"
    mapping = Path(__file__).parents[2] / "data_manifests" / "sts_sarcoma_t1_to_pet.yaml"
    done = run_ingest(folder / "dicom" / "STS_012", tmp_path / "out", mapping=mapping, keep_ids=True)
    assert (done.manifest.channels, done.case.split) == (("T1",), "training")
    assert done.case.quantities is not None
    found, stored = (
        nibabel.load(done.folder / done.case.quantities["PET"]),
        nibabel.load(folder / "nifti" / "STS_012" / "PET_image.nii.gz"),
    )
    voxels = np.argwhere(np.ones(found.shape))[::97]
    world = voxels @ found.affine[:3, :3].T + found.affine[:3, 3]
    places = np.linalg.solve(stored.affine[:3, :3], (world - stored.affine[:3, 3]).T)
    expected = ndimage.map_coordinates(stored.get_fdata(), places, order=1, mode="nearest")
    np.testing.assert_allclose(found.get_fdata()[tuple(voxels.T)], expected, atol=1e-4)  # SUV, up to 8.8
