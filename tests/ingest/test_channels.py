from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.ingest import Pseudonyms
from medseg.manifest import read_case
from pydicom.dataset import Dataset
from pydicom.uid import PositronEmissionTomographyImageStorage, generate_uid

from tests.dicom_files import write_series
from tests.grids import grid
from tests.ingest.sources import (
    KEY,
    Ingested,
    box_mask,
    run_ingest,
    voxels,
    write_ct,
    write_nifti,
    write_rtstruct,
)

# Coarser, turned a little, and larger than the CT all round.
PET = grid((20, 18, 12), spacing_mm=(3.0, 3.0, 5.0), angles=(0.05, -0.04, 0.1), origin_mm=(10, 50, 90), axcodes="LPS")
SLOPE = 0.01
MAPPING = "channels: [{name: CT, modality: CT}, {name: PET, modality: PT}]"
BOX = (2, 5, 2, 5, 1, 3)


def plane(geometry: Geometry) -> np.ndarray:
    """A linear function of millimetres, sampled on a grid."""
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in geometry.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    values = geometry.world_mm(indices.astype(float)) @ np.array([0.7, -0.4, 0.5]) + 20
    return values.reshape(geometry.shape)


def write_plane(folder: Path, geometry: Geometry = PET, **values: Any) -> list[Dataset]:
    """A PET series of that function, stored to a hundredth."""
    stored = np.rint(plane(geometry) / SLOPE).astype(np.int16)
    own = {
        "Modality": "PT",
        "SOPClassUID": PositronEmissionTomographyImageStorage,
        "SeriesDescription": "PET AC",
        **values,
    }
    return write_series(stored, geometry, folder, slopes=[(SLOPE, 0.0)] * geometry.shape[2], **own)


@pytest.fixture
def study() -> dict[str, str]:
    """What the series of one study share."""
    return {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}


def centre_of(geometry: Geometry) -> Geometry:
    """A grid in the middle of another, small enough that nothing leaves it."""
    return geometry.resampled((4.0, 4.0, 8.0))


def notes(done: Ingested) -> list[str]:
    return [note for case in done.document["cases"] for note in case["notes"]]


def ct_within(folder: Path, **values: Any) -> tuple[list[Dataset], Geometry]:
    """A CT whose grid lies within the PET's."""
    middle = PET.world_mm((np.array([PET.shape]) - 1) / 2.0)[0]
    corner = grid((8, 8, 6), spacing_mm=(1.5, 1.5, 4.0), axcodes="LPS")
    offset = middle - corner.world_mm((np.array([corner.shape]) - 1) / 2.0)[0]
    inside = grid((8, 8, 6), spacing_mm=(1.5, 1.5, 4.0), origin_mm=tuple(offset), axcodes="LPS")
    return write_ct(folder, inside, **values), inside


def test_channels_come_through_space_onto_the_grid_of_the_reference(tmp_path: Path, study: dict[str, str]) -> None:
    images, inside = ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "pet", **study)
    write_rtstruct({"GTV": BOX}, images, tmp_path / "src" / "rs", geometry=inside)
    done = run_ingest(
        tmp_path / "src", tmp_path / "out", mapping=f"{MAPPING}\nlabels: {{gtv: {{value: 1, names: [gtv]}}}}"
    )
    assert done.manifest.channels == ("CT", "PET")
    case = done.case
    assert [Path(name).name for name in case.images] == [f"{case.case_id}_0000.nii.gz", f"{case.case_id}_0001.nii.gz"]
    assert case.modality == "CT+PT"
    read = read_case(case, done.manifest, done.folder)
    assert read.image.geometry.is_close(inside)
    np.testing.assert_array_equal(read.image.array[0], voxels(inside))
    np.testing.assert_allclose(read.image.array[1], plane(inside), atol=SLOPE)
    np.testing.assert_array_equal(read.label > 0, box_mask(BOX, inside))
    assert "PT was resampled (linear) onto the reference, of which it covers 100%" in notes(done)


def test_reference_of_the_mapping_gives_the_grid(tmp_path: Path, study: dict[str, str]) -> None:
    _, inside = ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "pet", **study)
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=f"{MAPPING}\nreference: PET")
    array = done.image()
    assert array.shape == (2, *PET.shape)
    np.testing.assert_allclose(array[1], plane(PET), atol=SLOPE)
    least = voxels(inside).min()
    corners = array[0][[0, 0, -1, -1], [0, -1, 0, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(corners, least)
    assert any("of which it covers only" in note for note in notes(done))


def test_channel_that_does_not_touch_the_reference_is_refused(tmp_path: Path, study: dict[str, str]) -> None:
    write_ct(tmp_path / "src" / "ct", **study)
    far = Geometry(PET.shape, PET.affine + np.array([[0, 0, 0, 900.0]] + [[0, 0, 0, 0]] * 3))
    stored = np.ones(far.shape, np.int16)
    write_series(stored, far, tmp_path / "src" / "pet", **{"Modality": "PT", **study})
    (failure,) = run_ingest(tmp_path / "src", tmp_path / "out", mapping=MAPPING).report.failures
    assert "PT must overlap the reference, got no common place" in failure.reason


def test_channel_in_another_frame_of_reference_is_refused(tmp_path: Path, study: dict[str, str]) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "pet", **{**study, "FrameOfReferenceUID": generate_uid()})
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=MAPPING)
    (failure,) = done.report.failures
    assert "channels must share a frame of reference, got another for PT; register it" in failure.reason
    assert not list((done.folder).glob("images/*"))


@pytest.mark.parametrize(("count", "remedy"), [(0, "add it, or leave the study out"), (2, "narrow its description")])
def test_study_without_exactly_one_series_of_a_channel_is_refused_and_no_other(
    tmp_path: Path, study: dict[str, str], count: int, remedy: str
) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    for number in range(count):
        write_plane(tmp_path / "src" / f"pet{number}", **study)
    whole = {"StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(), "PatientID": "98765"}
    ct_within(tmp_path / "src" / "b" / "ct", **whole)
    write_plane(tmp_path / "src" / "b" / "pet", **whole)
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=MAPPING)
    (failure,) = done.report.failures
    names = Pseudonyms(KEY)
    assert failure.case_id == f"{names.patient('MRN-0047110815')}_{names.series(study['StudyInstanceUID'])}"
    assert f"channel PET must be one series of the study, got {count}; {remedy}" in failure.reason
    assert done.case.patient_id == names.patient("98765")


def test_description_chooses_among_series_of_one_modality(tmp_path: Path, study: dict[str, str]) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "ac", **study, SeriesDescription="PET WB AC")
    write_plane(tmp_path / "src" / "nac", **study, SeriesDescription="PET WB uncorrected")
    write_ct(tmp_path / "src" / "scout", **study, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    mapping = 'channels: [{name: CT, modality: ct}, {name: PET, modality: PT, description: "* ac"}]'
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    (entry,) = done.document["cases"]
    assert [channel["description"] for channel in entry["channels"]] == ["CT Abdomen", "PET WB AC"]
    assert done.report.aside == {
        "it is a localizer; nothing to do; localizers only plan the scan": 1,
        "it is no channel of the mapping": 1,
    }


@pytest.mark.parametrize(("group_by", "cases"), [("patient", 1), ("study", 0)])
def test_series_of_two_studies_come_together_by_patient(
    tmp_path: Path, study: dict[str, str], group_by: str, cases: int
) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "pet", **{**study, "StudyInstanceUID": generate_uid()})
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=f"{MAPPING}\ngroup_by: {group_by}")
    assert len(done.report.cases) == cases
    assert len(done.report.failures) == 2 * (1 - cases)


def test_label_of_another_channel_comes_onto_the_reference(tmp_path: Path, study: dict[str, str]) -> None:
    _, inside = ct_within(tmp_path / "src" / "ct", **study)
    pet = write_plane(tmp_path / "src" / "pet", **study)
    box = (9, 10, 8, 9, 5, 6)
    write_rtstruct({"GTV": box}, pet, tmp_path / "src" / "rs", geometry=PET)
    mapping = f"{MAPPING}\nlabel_from: PET\nlabels: {{gtv: {{value: 2, names: [gtv]}}}}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    indices = np.stack(np.meshgrid(*(np.arange(n) for n in inside.shape), indexing="ij"), axis=-1).reshape(-1, 3)
    nearest = np.rint(PET.voxels(inside.world_mm(indices.astype(float)))).astype(int)
    expected = box_mask(box, PET)[tuple(nearest.T)].reshape(inside.shape)
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(done.label(), expected * 2)
    assert "the label was resampled (nearest) onto the grid of the reference" in notes(done)


def test_label_of_another_channel_that_leaves_the_reference_is_counted(tmp_path: Path, study: dict[str, str]) -> None:
    _, inside = ct_within(tmp_path / "src" / "ct", **study)
    pet = write_plane(tmp_path / "src" / "pet", **study)
    box = (2, 10, 8, 9, 5, 6)
    write_rtstruct({"GTV": box}, pet, tmp_path / "src" / "rs", geometry=PET)
    mapping = f"{MAPPING}\nlabel_from: PET\nlabels: {{gtv: {{value: 2, names: [gtv]}}}}"
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    places = inside.voxels(PET.world_mm(np.argwhere(box_mask(box, PET)).astype(float)))
    lost = ((places < -0.5) | (places > np.array(inside.shape) - 0.5)).any(axis=1).sum()
    assert 0 < lost < len(places)
    assert f"label gtv: {lost} of {len(places)} labelled voxels lie outside the image" in notes(done)


def test_label_of_a_channel_whose_label_is_not_taken_is_told(tmp_path: Path, study: dict[str, str]) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    pet = write_plane(tmp_path / "src" / "pet", **study)
    write_rtstruct({"GTV": (6, 12, 6, 11, 3, 8)}, pet, tmp_path / "src" / "rs", geometry=PET)
    done = run_ingest(
        tmp_path / "src", tmp_path / "out", mapping=f"{MAPPING}\nlabels: {{gtv: {{value: 2, names: [gtv]}}}}"
    )
    assert done.case.label is None
    assert done.report.is_clean
    assert done.report.aside == {
        "a label of a channel whose label is not taken; name that channel under label_from in the mapping": 1
    }


def test_refused_series_of_a_channel_says_why(tmp_path: Path, study: dict[str, str]) -> None:
    ct_within(tmp_path / "src" / "ct", **study)
    write_plane(tmp_path / "src" / "pet", **study)
    (tmp_path / "src" / "pet" / "00004").unlink()
    (failure,) = run_ingest(tmp_path / "src", tmp_path / "out", mapping=MAPPING).report.failures
    assert "channel PET: slices must follow each other every 5 mm, got 1 missing" in failure.reason


def test_files_become_channels_by_their_names(tmp_path: Path) -> None:
    for patient in ("p1", "p2"):
        for name, seed in (("ct", 1), ("pet", 2)):
            write_nifti(tmp_path / "src" / patient / f"{patient}_{name}.nii.gz", voxels(seed=seed))
        write_nifti(tmp_path / "src" / patient / f"{patient}_ct_mask.nii.gz", box_mask(BOX).astype(np.uint8))
    mapping = """
    channels: [{name: PET, description: "*pet"}, {name: CT, description: "*_ct"}]
    reference: CT
    labels: {tumour: {value: 1, names: [value 1]}}
    """
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    assert done.report.is_clean, done.report
    assert done.manifest.channels == ("PET", "CT")
    assert len(done.manifest.cases) == 2
    for case in done.manifest.cases:
        np.testing.assert_array_equal(done.image(case), np.stack([voxels(seed=2), voxels(seed=1)]))
        np.testing.assert_array_equal(done.label(case) > 0, box_mask(BOX))


def test_channels_of_an_nnunet_folder_are_one_case(tmp_path: Path) -> None:
    for patient, seed in (("case_01", 1), ("case_02", 5)):
        for channel in range(2):
            write_nifti(tmp_path / "src" / "imagesTr" / f"{patient}_000{channel}.nii.gz", voxels(seed=seed + channel))
        write_nifti(tmp_path / "src" / "labelsTr" / f"{patient}.nii.gz", box_mask(BOX).astype(np.uint8))
    mapping = """
    channels: [{name: T1, description: "*_0000"}, {name: T2, description: "*_0001"}]
    labels: {tumour: {value: 1, names: [value 1]}}
    """
    done = run_ingest(tmp_path / "src", tmp_path / "out", mapping=mapping)
    assert done.report.is_clean, done.report
    assert len(done.manifest.select("training")) == 2
    assert len({case.patient_id for case in done.manifest.cases}) == 2


def test_pet_becomes_suv_on_request(tmp_path: Path, study: dict[str, str]) -> None:
    tracer = Dataset()
    tracer.RadionuclideTotalDose, tracer.RadionuclideHalfLife = 3.7e8, 6586.2
    tracer.RadiopharmaceuticalStartTime = "090000"
    values = {
        "Units": "BQML", "DecayCorrection": "ADMIN", "PatientWeight": 70.0, "SeriesDate": "20240517",
        "SeriesTime": "100000", "AcquisitionDate": "20240517", "AcquisitionTime": "100000",
        "RadiopharmaceuticalInformationSequence": [tracer],
    }  # fmt: skip
    write_plane(tmp_path / "src" / "pet", **study, **values)
    write_ct(tmp_path / "src" / "ct", **study)
    raw = run_ingest(tmp_path / "src", tmp_path / "raw")
    done = run_ingest(tmp_path / "src", tmp_path / "suv", suv=True)
    for case, before in zip(done.manifest.cases, raw.manifest.cases, strict=True):
        factor = 70.0 * 1000 / 3.7e8 if case.modality == "PT" else 1.0
        np.testing.assert_allclose(done.image(case), raw.image(before) * factor, rtol=1e-5)
    assert any("to give SUV by body weight" in note for note in notes(done))


def test_pet_that_cannot_become_suv_is_refused_and_no_other(tmp_path: Path, study: dict[str, str]) -> None:
    write_plane(tmp_path / "src" / "pet", **study)
    write_ct(tmp_path / "src" / "ct", **study)
    done = run_ingest(tmp_path / "src", tmp_path / "out", suv=True)
    (failure,) = done.report.failures
    assert "PET units must be" in failure.reason
    assert len(done.manifest.cases) == 1
