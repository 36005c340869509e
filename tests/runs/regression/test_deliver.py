"""Predicted doses delivered: RT Dose in the study of the CT, also where the CT went through ingest under pseudonyms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.inputs import find_inputs
from medseg.inference.inputs.read_input import read_input
from medseg.inference.mask_folder import file_sha256
from medseg.inference.model_identity import ModelIdentity
from medseg.inference.regression.record import ValueCase, ValueFile, ValueRecord, ValueSettings, save_value_record
from medseg.inference.segmentation.case_stages import source_of
from medseg.phantom import DoseStudy, write_dose_studies
from medseg.quantity import Quantity
from medseg.runs.regression.deliver import QuantityDelivery, deliver_quantities
from medseg.runs.segmentation.deliver import DeliverSettings
from medseg.scans import write_quantity
from medseg.scans.dicom import read_dose
from medseg.workflows.deliver import command
from pydicom.filereader import dcmread

from tests.ingest.sources import run_ingest

CHANNELS = ("CT",)
MAPPING = "channels: [{name: CT, modality: CT}]\nquantities: {dose: {unit: Gy}}\nignore: ['*']\n"
MODEL = ModelIdentity(
    dataset="beams 1", manifest_digest="a", plan_digest="b", weights_digest="0123456789abcdef", trained_on=()
)


def made(folder: Path, patients: int = 1) -> list[DoseStudy]:
    return write_dose_studies(folder, patients=patients, spacing_mm=(12, 12, 16), dose_spacing_mm=(15, 15, 15))


def predicted(inputs: Path, folder: Path, studies: list[DoseStudy], *, unit: str = "Gy") -> Path:
    """Predictions as `medseg predict` writes them, whose values are the true doses, a little below 0 in one voxel."""
    cases = []
    found = find_inputs([inputs], channels=CHANNELS)
    for case in found.cases:
        scan = read_input(case, channels=CHANNELS)
        same = next(one for one in studies if one.geometry.is_close(scan.geometry) or _is_flipped(one, scan.geometry))
        values = same.patient.dose_gy(scan.geometry)
        values[0, 0, 0] = -0.125
        path = write_quantity(values, scan, folder / "dose", case_id=case.case_id, quantity="dose", unit=unit)
        file = ValueFile(
            file=f"dose/{path.name}", unit=unit, mean=0, low=0, high=0, sha256=file_sha256(path) or ""
        )  # fmt: skip
        cases.append(
            ValueCase(
                case_id=case.case_id, quantities={"dose": file}, in_training=False, seconds=0, source=source_of(case)
            )
        )
    quantities = {"dose": Quantity(unit=unit)}
    record = ValueRecord(
        software="medseg",
        date="2026-01-01T00:00:00+00:00",
        device="cpu",
        quantities=quantities,
        cases=tuple(cases),
        settings=ValueSettings(weights=("a",), cards="b", quantities=quantities),
        models=(MODEL,),
    )
    save_value_record(record, folder)
    return folder


def _is_flipped(study: DoseStudy, grid: object) -> bool:
    return study.geometry.permuted((0, 1, 2), flips=(False, False, True)).is_close(grid)  # type: ignore[arg-type]


def deliver(folder: Path, out: Path, **choices: object) -> QuantityDelivery:
    return deliver_quantities(folder, DeliverSettings(out=out, **choices))  # type: ignore[arg-type]


def assert_delivered(result: QuantityDelivery, predictions: Path, source: Path) -> None:
    """Each case has its NIfTI, byte for byte, and an RT Dose of the same doses in the study of its CT."""
    assert result.failures == ()
    for case in result.delivered:
        nifti, dose = case.files
        place = result.folder / case.case_id
        original = predictions / "dose" / f"{case.case_id}.nii.gz"
        assert (place / nifti.file).read_bytes() == original.read_bytes()
        image = nibabel.load(original)
        expected = np.maximum(np.asarray(image.dataobj), 0)
        found = read_dose(place / dose.file).scan
        voxels = np.argwhere(np.ones(expected.shape))
        world = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
        places = np.rint(found.geometry.voxels(world)).astype(int)
        np.testing.assert_allclose(found.geometry.world_mm(places.astype(float)), world, atol=1e-3)
        np.testing.assert_allclose(found.array[0][tuple(places.T)], expected[tuple(voxels.T)], rtol=1e-6, atol=1e-7)
        assert [one.split()[0] for one in dose.read_by] == ["pydicom", "SimpleITK"]
        assert dose.notes == (
            f"1 of {expected.size} voxels were predicted below 0 Gy, down to -0.125, and became 0",
        )  # fmt: skip
        header = dcmread(place / dose.file)
        cts = {str(dcmread(path).StudyInstanceUID): dcmread(path) for path in source.rglob("CT.000.dcm")}
        ct = cts[str(header.StudyInstanceUID)]
        assert (header.PatientID, header.FrameOfReferenceUID) == (ct.PatientID, ct.FrameOfReferenceUID)


def test_doses_of_a_dicom_study_go_back_into_it(tmp_path: Path) -> None:
    studies = made(tmp_path / "in")
    (tmp_path / "in" / "patient_00" / "RD.dcm").unlink()
    predictions = predicted(tmp_path / "in", tmp_path / "doses", studies)
    result = deliver(predictions, tmp_path / "out")
    assert len(result.delivered) == 1
    assert_delivered(result, predictions, tmp_path / "in")
    listed = json.loads((tmp_path / "out" / "delivery.json").read_text())
    assert [one["case_id"] for one in listed["cases"]] == [result.delivered[0].case_id]


def test_doses_of_ingested_scans_find_their_study_by_its_voxels(tmp_path: Path) -> None:
    studies = made(tmp_path / "in", patients=2)
    run_ingest(tmp_path / "in", tmp_path / "dataset", mapping=MAPPING)
    predictions = predicted(tmp_path / "dataset", tmp_path / "doses", studies)
    alone = deliver(predictions, tmp_path / "nifti", sources=(tmp_path / "dataset",))
    assert [[one.file.split(".", 1)[1] for one in case.files] for case in alone.delivered] == [["dose.nii.gz"]] * 2
    result = deliver(predictions, tmp_path / "out", sources=(tmp_path / "dataset", tmp_path / "in"))
    assert len(result.delivered) == 2
    assert_delivered(result, predictions, tmp_path / "in")
    identities = set()
    for case in result.delivered:
        header = dcmread(tmp_path / "out" / case.case_id / case.files[1].file)
        (study,) = [one for one in studies if one.patient_id == header.PatientID]
        dose = read_dose(tmp_path / "out" / case.case_id / case.files[1].file).scan
        np.testing.assert_allclose(
            dose.array[0].max(), study.patient.dose_gy(study.geometry).max(), rtol=1e-5
        )  # not another's
        identities.add(header.PatientID)
    assert identities == {one.patient_id for one in studies}


def test_a_study_that_is_another_is_never_given_the_dose(tmp_path: Path) -> None:
    studies = made(tmp_path / "in")
    run_ingest(tmp_path / "in", tmp_path / "dataset", mapping=MAPPING)
    predictions = predicted(tmp_path / "dataset", tmp_path / "doses", studies)
    for path in (tmp_path / "in").rglob("CT.000.dcm"):
        dataset = dcmread(path)
        pixels = dataset.pixel_array.copy()
        pixels[0, 0] += 1
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(path)
    result = deliver(predictions, tmp_path / "out", sources=(tmp_path / "dataset", tmp_path / "in"))
    assert result.delivered == ()
    assert "of the series that the scan was made of, got 0 with its voxels" in result.failures[0].reason


def test_only_gy_becomes_a_dose_and_changed_volumes_are_refused(tmp_path: Path) -> None:
    studies = made(tmp_path / "in")
    other = predicted(tmp_path / "in" / "patient_00", tmp_path / "suv", studies, unit="SUV")
    (failure,) = deliver(other, tmp_path / "a", forms=("rtdose",)).failures
    assert "the quantity must be in Gy, got SUV" in failure.reason
    assert [len(one.files) for one in deliver(other, tmp_path / "b").delivered] == [1]
    (volume,) = (tmp_path / "suv" / "dose").glob("*.nii.gz")
    shutil.copy(volume, tmp_path / "kept")
    volume.write_bytes(b"changed")
    (failure,) = deliver(other, tmp_path / "c").failures
    assert "must be as it was predicted" in failure.reason
    with pytest.raises(ConfigError, match="form of a quantity must be one of nifti, rtdose, got 'seg'"):
        deliver(other, tmp_path / "d", forms=("seg",))
    with pytest.raises(ConfigError, match="out must lie outside of the predictions"):
        deliver(other, other / "inside")
    with pytest.raises(DeliveryError, match="must be a folder that predict wrote"):
        deliver(tmp_path / "in", tmp_path / "e")


def test_the_command_delivers_doses_and_says_that_they_are_not_for_treatment(tmp_path: Path) -> None:
    studies = made(tmp_path / "in")
    predictions = predicted(tmp_path / "in", tmp_path / "doses", studies)
    done = CliRunner().invoke(command, [str(predictions), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "1 case(s) delivered in" in done.output
    assert "are not for treatment: 1 case(s)" in done.output
    assert "were predicted below 0 Gy" in done.output
