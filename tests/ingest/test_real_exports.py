from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.manifest import read_case
from medseg.records import Case
from PIL import Image

from tests.ingest.sources import Ingested, run_ingest

pytestmark = pytest.mark.data
MODALITY = {"CT": "CT", "MR": "MR_T1", "PT": "PET"}


def published(nifti: Path, patient: str, modality: str, kind: str) -> tuple[np.ndarray, Geometry]:
    """Voxels and grid of an image or mask as the data set's authors made it from the same DICOM files."""
    image = nibabel.load(nifti / patient / f"{MODALITY[modality]}_{kind}.nii.gz")
    assert isinstance(image, nibabel.Nifti1Image)
    array = np.asarray(image.dataobj)
    return array, Geometry((array.shape[0], array.shape[1], array.shape[2]), image.affine)


def on_grid(array: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    """The same voxels with axes flipped and swapped."""
    maps = own.reoriented(grid.axcodes).axis_maps(own)
    flips = tuple(slice(None, None, -1 if found.scale < 0 else 1) for found in maps)
    return array.transpose([found.source_axis for found in maps])[flips]


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other)))


@pytest.fixture(scope="module")
def sarcoma(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ingested:
    return run_ingest(real_data / "sts_sarcoma" / "dicom", tmp_path_factory.mktemp("sts") / "ds", keep_ids=True)


def test_every_sarcoma_series_becomes_a_case_with_its_label(sarcoma: Ingested) -> None:
    cases = sarcoma.manifest.select("training")
    assert len(cases) == len(sarcoma.manifest.cases) == 24
    assert sorted({case.modality for case in cases if case.modality}) == ["CT", "MR", "PT"]
    assert len({case.patient_id for case in cases}) == 8
    assert sarcoma.report.is_clean
    assert set(sarcoma.manifest.labels) == {"background", "gtv_mass"}
    matched = {how for case in sarcoma.document["cases"] for how in case["labels"]}
    assert matched == {"RTSTRUCT matched by referenced series"}  # whose images have other UIDs


@pytest.mark.parametrize("modality", MODALITY)
def test_sarcoma_images_and_labels_are_those_of_the_authors(sarcoma: Ingested, real_data: Path, modality: str) -> None:
    for case in sarcoma.manifest.cases:
        if case.modality != modality:
            continue
        read = read_case(case, sarcoma.manifest, sarcoma.folder)
        for kind, ours in (("image", read.image.array[0]), ("mask", read.label)):
            array, own = published(real_data / "sts_sarcoma" / "nifti", case.patient_id, modality, kind)
            assert own.reoriented(read.image.geometry.axcodes).is_close(read.image.geometry, tolerance_mm=1e-2)
            theirs = on_grid(array, own, read.image.geometry)
            if kind == "mask":
                assert dice(ours > 0, theirs > 0) == 1.0
            else:
                np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_three_modalities_of_a_sarcoma_patient_become_one_case(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "sts_sarcoma" / "dicom"
    mapping = """
    channels: [{name: CT, modality: CT}, {name: MR, modality: MR}, {name: PET, modality: PT}]
    reference: CT
    group_by: patient
    labels: {gtv: {value: 1, names: ["GTV*"]}}
    """
    done = run_ingest(source, tmp_path / "ds", keep_ids=True, mapping=mapping)
    assert done.manifest.channels == ("CT", "MR", "PET")
    assert [case.case_id for case in done.manifest.cases] == sorted(path.name for path in source.iterdir())
    assert [len(case.images) for case in done.manifest.cases] == [3] * 8
    assert done.report.is_clean
    for case in done.manifest.cases[::3]:
        read = read_case(case, done.manifest, done.folder)
        array, own = published(real_data / "sts_sarcoma" / "nifti", case.patient_id, "CT", "image")
        np.testing.assert_array_equal(read.image.array[0], on_grid(array, own, read.image.geometry))
        mask = on_grid(
            *published(real_data / "sts_sarcoma" / "nifti", case.patient_id, "CT", "mask"), read.image.geometry
        )
        np.testing.assert_array_equal(read.label > 0, mask > 0)
        tumour, rest = (float(read.image.array[2][where].mean()) for where in (mask > 0, mask == 0))
        assert tumour > 2 * rest  # the tumour takes up the tracer


REASONS = {
    "gantrytilting": "got a gantry tilt of",
    "notavolume": "got all 4 at one",
    "slicecount": "must have at least 3 slices, got 2",
    "sliceincrement/001": "1 missing in 1 gap(s)",
    "sliceincrement/002": "1 missing in 1 gap(s)",
    "sliceorientation": "must have one orientation, got 2",
}


@pytest.mark.parametrize(
    ("repair", "repaired"), [([], 0), (["tilt", "gaps"], 3), (["tilt", "gaps", "orientations"], 3)]
)
def test_edge_cases_are_refused_for_their_reasons_or_repaired(
    real_data: Path, tmp_path: Path, repair: list[str], repaired: int
) -> None:
    done = run_ingest(real_data / "dicom_edge" / "failing", tmp_path / "ds", repair=repair)
    assert sum(bool(case.channels[0].modality) for case in done.report.cases) == repaired
    reasons = [failure.reason for failure in done.report.failures]
    if not repair:
        assert len(reasons) == 6
        for name, reason in REASONS.items():
            assert any(reason in told for told in reasons), name
    else:
        assert not any("tilt of" in told or "missing" in told for told in reasons)
        notes = [note for case in done.document["cases"] for note in case["notes"]]
        assert any("slices were shifted in their plane" in note for note in notes)
        assert "1 of 5 slices were interpolated (gaps)" in notes


def test_pet_with_its_segmentation_becomes_a_labelled_case(real_data: Path, tmp_path: Path) -> None:
    done = run_ingest(real_data / "pet_with_seg", tmp_path / "ds")
    assert done.report.is_clean
    assert set(done.manifest.labels) == {"background", "neoplasm_primary", "neoplasm_secondary"}
    read = read_case(done.case, done.manifest, done.folder)
    assert read.label.shape == (128, 128, 299)
    assert [entry["labels"] for entry in done.document["cases"]] == [["SEG matched by referenced images"]]


def test_organs_on_two_grids_find_their_images(real_data: Path, tmp_path: Path) -> None:
    done = run_ingest(real_data / "ct_organs", tmp_path / "ds")
    assert done.report.is_clean, done.report.lost_labels
    labels = {len(np.unique(done.label(case))) - 1: done.image(case).shape for case in done.manifest.cases}
    assert labels[41] == (1, 122, 101, 30)
    assert len(labels) == 3


def test_nuclei_are_instances(real_data: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (real_data / "nuclei_2d" / "images").iterdir())[:8]
    for folder in ("images", "instances"):
        (tmp_path / "src" / folder).mkdir(parents=True)
        for name in names:
            shutil.copy(real_data / "nuclei_2d" / folder / name, tmp_path / "src" / folder / name)
    done = run_ingest(tmp_path / "src", tmp_path / "ds", keep_ids=True)
    assert done.report.is_clean
    assert done.manifest.instances
    assert done.manifest.channels == ("red", "green", "blue")
    for case in done.manifest.cases:
        assert_same_objects(done, case, real_data / "nuclei_2d" / "instances")


def assert_same_objects(done: Ingested, case: Case, folder: Path) -> None:
    with Image.open(folder / f"{case.patient_id}.png") as theirs:
        np.testing.assert_array_equal(done.label(case)[:, :, 0].T, np.asarray(theirs))
