"""The origin of a series names the image behind every slice: what a SEG that refers to it needs."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans import read_label, write_mask
from medseg.scans.dicom import draw_label_object, read_label_object, read_series, write_dicom_seg
from pydicom.filereader import dcmread
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, EnhancedCTImageStorage

from tests.dicom_files import (
    PATIENT,
    found_in,
    read_folder,
    save,
    slice_dataset,
    write_enhanced,
    write_mosaic,
    write_reconstructed_nm,
    write_series,
)
from tests.grid_strategies import grids
from tests.grids import OBLIQUE, grid

ARRAY = np.random.default_rng(3).integers(-1000, 3000, OBLIQUE.shape).astype(np.int16)
UPRIGHT = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), origin_mm=(5, -7, 30), axcodes="LPS")
COUNTS = np.random.default_rng(4).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)
ORDER = [3, 0, 4, 1, 2]


def origin_of(scan: Scan) -> SeriesOrigin:
    assert isinstance(scan.origin, SeriesOrigin)
    return scan.origin


@settings(max_examples=25, deadline=None)
@given(geometry=grids(min_size=3), seed=st.integers(0, 2**32 - 1))
def test_slice_k_is_the_file_that_holds_the_voxels_of_slice_k(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("series")
    rng = np.random.default_rng(seed)
    array = rng.integers(-1000, 3000, geometry.shape).astype(np.int16)
    write_series(array, geometry, folder, order=rng.permutation(geometry.shape[2]))
    scan = read_folder(folder).scan
    origin = origin_of(scan)
    assert len(origin.slices) == scan.geometry.shape[2]
    for k, one in enumerate(origin.slices):
        image = dcmread(one.file)
        np.testing.assert_array_equal(image.pixel_array.T, scan.array[0, :, :, k])
        assert (one.sop_instance_uid, one.sop_class_uid) == (image.SOPInstanceUID, CTImageStorage)
        assert one.frame_number is None
    assert not origin.is_resampled


def test_uids_and_modality_are_those_of_the_files(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path, Modality="MR", series_uid="1.2.3.4")
    origin = origin_of(read_folder(tmp_path).scan)
    assert (origin.study_uid, origin.series_uid, origin.frame_of_reference_uid, origin.modality) == (
        "1.2.826.0.1.3680043.8.498.1", "1.2.3.4", "1.2.826.0.1.3680043.8.498.2", "MR",
    )  # fmt: skip
    assert set(origin.files) == set(tmp_path.iterdir())


def test_origin_shows_neither_patient_nor_uid(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path / "Mustermann")
    shown = repr(read_folder(tmp_path).scan)
    assert "SeriesOrigin(modality='CT'" in shown
    for secret in (*map(str, PATIENT.values()), "Mustermann", "1.2."):
        assert secret not in shown


def test_slices_of_an_enhanced_file_are_its_frames_from_one(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, OBLIQUE, tmp_path / "one", order=ORDER)
    scan = read_folder(tmp_path).scan
    origin = origin_of(scan)
    frames = dcmread(tmp_path / "one").pixel_array
    for k, one in enumerate(origin.slices):
        assert one.frame_number is not None
        np.testing.assert_array_equal(frames[one.frame_number - 1].T, scan.array[0, :, :, k])
        assert (one.sop_instance_uid, one.sop_class_uid) == (dataset.SOPInstanceUID, EnhancedCTImageStorage)
    assert sorted(one.frame_number or 0 for one in origin.slices) == [1, 2, 3, 4, 5]
    assert origin.files == (tmp_path / "one",)


def test_time_points_of_one_file_each_name_their_own_frames(tmp_path: Path) -> None:
    write_enhanced(np.stack([ARRAY, ARRAY + 1]), OBLIQUE, tmp_path / "one")
    numbers = [{one.frame_number for one in origin_of(read_series(found).scan).slices} for found in found_in(tmp_path)]
    assert numbers == [{1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}]


def test_slices_of_a_mosaic_are_the_whole_image_since_tiles_are_no_frames(tmp_path: Path) -> None:
    dataset = write_mosaic(COUNTS, UPRIGHT, tmp_path / "one")
    origin = origin_of(read_folder(tmp_path).scan)
    assert [(one.sop_instance_uid, one.frame_number) for one in origin.slices] == [(dataset.SOPInstanceUID, None)] * 5


def test_slices_of_nuclear_medicine_are_its_frames(tmp_path: Path) -> None:
    write_reconstructed_nm(COUNTS, UPRIGHT, tmp_path / "one")
    assert [one.frame_number for one in origin_of(read_folder(tmp_path).scan).slices] == [1, 2, 3, 4, 5]


def test_radiograph_comes_from_its_one_image_and_its_mask_is_nifti(tmp_path: Path) -> None:
    dataset = slice_dataset(np.arange(24, dtype=np.uint16).reshape(4, 6), 1)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    save(dataset, tmp_path / "hand.png")
    scan = read_folder(tmp_path).scan
    (image,) = origin_of(scan).slices
    assert (image.sop_instance_uid, image.frame_number) == (dataset.SOPInstanceUID, None)
    assert origin_of(scan).frame_of_reference_uid == ""
    mask = write_mask(np.ones(scan.geometry.shape, np.uint8), scan, tmp_path / "masks", case_id="c")
    assert mask.name == "c.nii.gz"


def test_slices_that_a_repair_made_are_told(tmp_path: Path) -> None:
    for number, dataset in enumerate(write_series(ARRAY, OBLIQUE, tmp_path)):
        if number == 2:
            missing = str(dataset.SOPInstanceUID)
    next(path for path in tmp_path.iterdir() if dcmread(path).SOPInstanceUID == missing).unlink()
    scan = read_folder(tmp_path, repair=frozenset({"gaps"})).scan
    origin = origin_of(scan)
    assert origin.is_resampled
    assert (len(origin.slices), scan.geometry.shape[2]) == (4, 5)


def test_series_in_gives_a_nifti_mask_in_scanner_coordinates(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path / "scan", order=ORDER)
    scan = read_folder(tmp_path / "scan").scan
    mask = (scan.array[0] > 1500).astype(np.uint8)
    path = write_mask(mask, scan, tmp_path / "masks", case_id="c")
    assert path.name == "c.nii.gz"
    header = nibabel.load(path).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    label, geometry = read_label(path, case_id="c")
    np.testing.assert_array_equal(label, mask)
    assert geometry.is_close(scan.geometry, tolerance_mm=1e-4)


def test_seg_on_the_files_of_an_origin_refers_to_them_and_holds_the_mask(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path / "scan", order=ORDER, StudyTime="101010", PatientSex="", StudyID="1")
    scan = read_folder(tmp_path / "scan").scan
    mask = scan.array[0] > 1500
    write_dicom_seg({"bone": mask}, origin_of(scan).files, tmp_path / "seg")
    (drawn,) = draw_label_object(read_label_object(tmp_path / "seg"), scan.geometry)
    np.testing.assert_array_equal(drawn.mask, mask)
    (series,) = dcmread(tmp_path / "seg").ReferencedSeriesSequence
    assert series.SeriesInstanceUID == origin_of(scan).series_uid
    referred = {(one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID) for one in series.ReferencedInstanceSequence}
    assert referred == {(one.sop_class_uid, one.sop_instance_uid) for one in origin_of(scan).slices}
