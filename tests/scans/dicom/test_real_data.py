"""Real series against answers that other software gave."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.scans.dicom import (
    LABEL_CLASSES,
    FoundSeries,
    SeriesRules,
    draw_label_object,
    find_series,
    read_label_object,
    read_series,
)
from pydicom.filereader import dcmread

from tests.dicom_files import found_in, instances_in

pytestmark = pytest.mark.data

PATIENTS = ("002", "003", "012", "015", "018", "024", "032", "035")
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@cache
def only(folder: Path) -> FoundSeries:
    """The only image series of a folder."""
    (found,) = found_in(folder)
    return found


def nifti(path: Path) -> tuple[np.ndarray, Geometry]:
    image = nibabel.load(path)
    return np.asarray(image.dataobj), Geometry(image.shape[:3], image.affine)


def itk_geometry(found: FoundSeries) -> Geometry:
    """The grid that SimpleITK makes of a series' own files."""
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(found.first.path.parent), found.first.series_uid)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(names)
    image = reader.Execute()
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    origin = np.array(image.GetOrigin())
    return Geometry.from_lps_axes(
        image.GetSize(), origin_mm=origin, steps_mm=(direction[:, 0], direction[:, 1], direction[:, 2])
    )


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_sarcoma_series_is_its_nifti_and_its_contours_are_its_mask(
    real_data: Path, patient: str, modality: str
) -> None:
    folder = real_data / "sts_sarcoma" / "dicom" / f"STS_{patient}" / modality
    answers = real_data / "sts_sarcoma" / "nifti" / f"STS_{patient}"
    instances = instances_in(folder)
    (found,) = find_series(instances, SeriesRules())
    scan = read_series(found).scan
    voxels, grid = nifti(answers / f"{modality}_image.nii.gz")
    np.testing.assert_array_equal(scan.array[0], voxels)
    np.testing.assert_allclose(scan.geometry.affine, grid.affine, atol=1e-3)

    (instance,) = (one for one in instances if one.sop_class in LABEL_CLASSES)
    label = read_label_object(instance.path)
    (drawn,) = draw_label_object(label, scan.geometry)
    mask, _ = nifti(answers / f"{modality}_mask.nii.gz")
    assert drawn.name.startswith("GTV_Mass")
    assert 2 * (drawn.mask & (mask > 0)).sum() / (drawn.mask.sum() + (mask > 0).sum()) == 1
    assert not label.referenced_images & {one.sop_uid for one in instances}  # they name images that are not there
    assert label.frame_of_reference_uid == found.first.frame_of_reference_uid


@pytest.mark.parametrize(
    "folder",
    [
        "sts_sarcoma/dicom/STS_002/CT",
        "sts_sarcoma/dicom/STS_015/MR_T1",
        "sts_sarcoma/dicom/STS_032/PET",
        "dicom_edge/hitachi/anatomical/001",
        "dicom_edge/hitachi/anatomical/001_implicit",
        "dicom_seg/ct-3slice",
        "ct_organs/example_ct_dicom",
        "pet_with_seg/PET",
    ],
)
def test_geometry_is_that_of_simpleitk(real_data: Path, folder: str) -> None:
    found = only(real_data / folder)
    assert found.planes is not None
    assert found.planes.geometry().distance_mm(itk_geometry(found)) < 2e-3


def test_geometry_of_a_whole_chest_is_that_of_its_first_and_last_slice(real_data: Path) -> None:
    found = only(real_data / "chest_ct_dicom")
    assert found.planes is not None
    geometry = found.planes.geometry()
    assert geometry.shape == (512, 512, 275)
    for k, path in ((0, found.instances[0].path), (274, found.instances[-1].path)):
        slice_origin = sitk.ReadImage(str(path)).GetOrigin()
        np.testing.assert_allclose((geometry.to_lps() @ [0, 0, k, 1])[:3], slice_origin, atol=1e-3)


def test_segments_are_those_of_the_nrrd_answers(real_data: Path) -> None:
    folder = real_data / "dicom_seg"
    found = only(folder / "ct-3slice")
    assert found.planes is not None
    geometry = found.planes.geometry()
    liver = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "liver_seg.nrrd"))).T
    overlaps = [sitk.GetArrayFromImage(sitk.ReadImage(str(folder / f"partial_overlaps-{n}.nrrd"))).T for n in (1, 2, 3)]
    label = read_label_object(folder / "liver.dcm")
    assert label.referenced_images == {one.sop_uid for one in found.instances}
    (drawn,) = draw_label_object(label, geometry)
    np.testing.assert_array_equal(drawn.mask, liver == 1)

    several = list(draw_label_object(read_label_object(folder / "partial_overlaps.dcm"), geometry))
    assert [one.name for one in several] == ["GREEN", "ORANGE", "PURPLE", "LIGHT_BLUE", "DARK_BLUE"]
    for number, one in enumerate(several, start=1):
        expected = np.any([overlap == number for overlap in overlaps], axis=0)
        np.testing.assert_array_equal(one.mask, expected)
        assert one.notes == ()


def test_segmentation_of_a_pet_lies_on_the_slices_that_its_frames_name(real_data: Path) -> None:
    found = only(real_data / "pet_with_seg" / "PET")
    assert found.planes is not None
    geometry = found.planes.geometry()
    (path,) = (path for path in (real_data / "pet_with_seg" / "SEG").rglob("*") if path.is_file())
    label = read_label_object(path)
    assert label.referenced_images <= {one.sop_uid for one in found.instances}
    dataset = dcmread(path)
    expected = np.zeros((len(label.names), *geometry.shape), bool)
    depths = {round(float(position[2]), 2): k for k, position in enumerate(found.planes.positions_mm)}
    for frame, group in zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        k = depths[round(float(group.PlanePositionSequence[0].ImagePositionPatient[2]), 2)]
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        expected[number - 1, :, :, k] |= frame.T > 0
    drawn = list(draw_label_object(label, geometry))
    np.testing.assert_array_equal([one.mask for one in drawn], expected)
    assert expected.any()


@pytest.mark.parametrize(
    "folder",
    [
        "failing/slicecount/001",
        "hitachi/anatomical/001",
        "hitachi/anatomical/001_implicit",
        "hyperfine/anatomical/001",
        "siemens_multiframe/anatomical/001",
    ],
)
@pytest.mark.parametrize("ending", ["_ground_truth.nii.gz", "_ground_truth_reoriented.nii.gz"])
def test_series_is_what_dicom2nifti_makes_of_it(real_data: Path, folder: str, ending: str) -> None:
    path = real_data / "dicom_edge" / folder
    (found,) = found_in(path, SeriesRules(min_slices=2))
    scan = read_series(found).scan
    voxels, grid = nifti(path.with_name(path.name + ending))
    turned = scan.geometry.reoriented(grid.axcodes)
    assert turned.distance_mm(grid) < 1e-3
    order = [one.source_axis for one in turned.axis_maps(scan.geometry)]
    flips = tuple(slice(None, None, -1 if one.scale < 0 else 1) for one in turned.axis_maps(scan.geometry))
    np.testing.assert_array_equal(scan.array[0].transpose(order)[flips], voxels)


@pytest.mark.parametrize(
    ("folder", "reasons", "reported"),
    [
        ("gantrytilting/001", ["tilt"], r"got a gantry tilt of 14\.0°"),
        ("notavolume/001", ["one_position"], "got all 4 at one"),
        ("slicecount/001", ["too_few_slices"], "at least 3 slices, got 2"),
        ("sliceincrement/001", ["missing_slices"], r"every 5 mm, got 1 missing in 1 gap\(s\)"),
        ("sliceincrement/002", ["tilt", "missing_slices"], r"got a gantry tilt of 15\.5°"),
        ("sliceorientation/001", ["mixed_orientation"], r"got 2 \(of 2, 2 slices\)"),
    ],
)
def test_series_that_is_no_volume_is_refused_for_its_reason(
    real_data: Path, folder: str, reasons: list[str], reported: str
) -> None:
    found = only(real_data / "dicom_edge" / "failing" / folder)
    assert [problem.kind for problem in found.problems] == reasons
    with pytest.raises(ScanError, match=reported):
        read_series(found)


def test_tilted_head_is_straightened_about_as_wide_as_dicom2nifti_makes_it(real_data: Path) -> None:
    """Their slices run along the tilt, so only the sizes and the first slice's place compare."""
    path = real_data / "dicom_edge" / "failing" / "sliceincrement" / "002"
    scan = read_series(only(path), repair=frozenset({"tilt", "gaps"})).scan
    _, answer = nifti(path.with_name("002_ground_truth.nii.gz"))
    assert scan.geometry.shape[0] == answer.shape[0]
    assert scan.geometry.shape[2] == answer.shape[2]
    assert abs(scan.geometry.shape[1] - answer.shape[1]) <= 1
    np.testing.assert_allclose(scan.geometry.spacing_mm[:2], answer.spacing_mm[:2], rtol=1e-6)
    middle = [geometry.corners_mm().mean(axis=0) for geometry in (scan.geometry, answer)]
    assert np.linalg.norm(middle[0] - middle[1]) < 1.0


def test_tilted_head_keeps_every_slice_where_it_was(real_data: Path) -> None:
    """14° in slices of 5 mm: 2.4 pixels a slice; the brightest voxels stay within a pixel of their places."""
    found = only(real_data / "dicom_edge" / "failing" / "gantrytilting" / "001")
    assert found.planes is not None
    repaired = read_series(found, repair=frozenset({"tilt"})).scan
    for k, frame in enumerate(found.planes.frames):
        pixels = dcmread(frame.path).pixel_array.astype(float)
        corner = found.planes.positions_mm[k]
        at = repaired.geometry.voxels_of_lps(corner[np.newaxis])[0]
        first = np.floor(at[:2] + 1e-3).astype(int)
        rows, columns = pixels.shape
        moved = repaired.array[0, first[0] : first[0] + columns, first[1] : first[1] + rows, k].T.astype(float)
        share = at[:2] - first
        # Linear interpolation between neighbours by hand, away from the edges.
        rescaled = pixels * frame.slope + frame.intercept
        by_hand = rescaled[1:, 1:] * (1 - share[0]) + rescaled[1:, :-1] * share[0]
        above = rescaled[:-1, 1:] * (1 - share[0]) + rescaled[:-1, :-1] * share[0]
        by_hand = by_hand * (1 - share[1]) + above * share[1]
        np.testing.assert_allclose(moved[1:, 1:], by_hand, atol=0.51)


def test_jpeg_2000_series_holds_what_each_file_holds(real_data: Path) -> None:
    found = only(real_data / "ct_organs" / "example_ct_dicom")
    scan = read_series(found).scan
    assert dcmread(found.first.path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name.startswith("JPEG 2000")
    for k in (0, 7, 19):
        by_itk = sitk.GetArrayFromImage(sitk.ReadImage(str(found.frames[k].path)))[0]
        np.testing.assert_array_equal(scan.array[0, :, :, k].T, by_itk)


def test_jpeg_2000_series_lies_on_the_grid_of_its_mask(real_data: Path) -> None:
    found = only(real_data / "ct_organs" / "example_ct_dicom")
    assert found.planes is not None
    _, grid = nifti(real_data / "ct_organs" / "example_seg_dicom.nii.gz")
    assert found.planes.geometry().reoriented(grid.axcodes).distance_mm(grid) < 1e-2
