"""RTSTRUCT out and back: every labelled voxel returns, whoever reads it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from medseg.errors import DeliveryError
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans.dicom import (
    draw_label_object,
    read_label_object,
    read_rtstruct_independently,
    read_rtstruct_with_medseg,
    write_rtstruct,
)
from medseg.scans.segment import Algorithm, CodedTerm, Segment
from pydicom.filereader import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from tests.dicom_files import PATIENT, read_folder, write_enhanced, write_series
from tests.grid_strategies import grids
from tests.grids import ALL_AXCODES, grid

ALGORITHM = Algorithm(name="Prostata-Modell", version="0.1.0", digest="0123abcd", notice="research software")
TISSUE = CodedTerm("85756007", "SCT", "Tissue")
ANATOMICAL = CodedTerm("91723000", "SCT", "Anatomical Structure")
LIVER = CodedTerm("10200004", "SCT", "Liver")
KIDNEY, LEFT = CodedTerm("64033007", "SCT", "Kidney"), CodedTerm("7771000", "SCT", "Left")
SLANTED = grid((20, 24, 9), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")


def segment(number: int, name: str = "", *, values: tuple[int, ...] = (), **more: Any) -> Segment:
    parts = {"colour": (10 * number, 20, 255), "category": TISSUE} | more
    return Segment(number=number, name=name or f"structure {number}", values=values or (number,), **parts)


def scan_of(folder: Path, geometry: Geometry = SLANTED, **more: Any) -> Scan:
    """A series as it is read, so that its slices may follow each other the other way round."""
    write_series(np.zeros(geometry.shape, np.int16), geometry, folder / "images", **more)
    return read_folder(folder / "images").scan


def write(labels: np.ndarray, scan: Scan, path: Path, segments: list[Segment] | None = None) -> Path:
    given_or_all = segments or [segment(number) for number in range(1, int(labels.max(initial=1)) + 1)]
    write_rtstruct(labels, given_or_all, scan, path, algorithm=ALGORITHM)
    return path


def assert_returns(path: Path, labels: np.ndarray, scan: Scan, segments: list[Segment]) -> None:
    """Both readers find each structure, voxel for voxel, and our own has nothing to note."""
    for reader in (read_rtstruct_with_medseg, read_rtstruct_independently):
        back = reader(path, scan)
        assert back.names == {one.number: one.name for one in segments}
        assert back.numbers == tuple(one.number for one in segments if one.mask(labels).any())
        assert back.geometry.is_close(scan.geometry)
        for one in segments:
            np.testing.assert_array_equal(back.mask(one.number), one.mask(labels), err_msg=back.library)
    for drawn in draw_label_object(read_label_object(path), scan.geometry):
        assert [note for note in drawn.notes if "between its first and last" not in note] == []


def shell(shape: tuple[int, int, int]) -> np.ndarray:
    """A box with a hole that holds an island with a hole of its own."""
    labels = np.zeros(shape, np.uint8)
    for value, margin in enumerate((2, 4, 6, 8)):
        labels[margin:-margin, margin:-margin, 2:-2] = (value + 1) % 2
    return labels


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    geometry=grids(min_size=3),
    density=st.floats(0.02, 0.98),
    seed=st.integers(0, 2**32 - 1),
    structures=st.integers(1, 3),
)
def test_any_labels_on_any_grid_return(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry, density: float, seed: int, structures: int
) -> None:
    folder = tmp_path_factory.mktemp("series")
    scan = scan_of(folder, geometry)
    random = np.random.default_rng(seed)
    labels = random.integers(1, structures + 1, scan.geometry.shape) * (random.random(scan.geometry.shape) < density)
    segments = [segment(number) for number in range(1, structures + 1)]
    assert_returns(write(labels, scan, folder / "RS", segments), labels, scan, segments)


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_holes_and_islands_return_on_slices_of_every_orientation(tmp_path: Path, axcodes: str) -> None:
    scan = scan_of(tmp_path, grid((20, 21, 19), spacing_mm=(0.8, 1.1, 3.0), origin_mm=(-12, 5, 40), axcodes=axcodes))
    labels = shell(scan.geometry.shape)
    assert_returns(write(labels, scan, tmp_path / "RS"), labels, scan, [segment(1)])


def test_pixels_and_lines_at_the_border_and_corners_that_touch_return(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[0, 0, 0] = labels[19, 23, 8] = 1  # single voxels in corners of the scan
    labels[3, 2:20, 1] = labels[3:18, 11, 1] = 1  # a cross, one voxel thin
    labels[5, 5, 3] = labels[6, 6, 3] = labels[7, 5, 3] = 1  # touch at corners
    labels[:, :, 5] = 1
    labels[4, 4, 5] = labels[5, 5, 5] = 0  # holes that touch at a corner
    assert_returns(write(labels, scan, tmp_path / "RS"), labels, scan, [segment(1)])


def test_a_hole_is_a_keyhole_in_one_contour(tmp_path: Path) -> None:
    """Readers that join all contours of a slice find the hole as well."""
    scan = scan_of(tmp_path)
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[4:14, 4:14, 3] = 1
    labels[7:9, 7:9, 3] = 0
    (contour,) = dcmread(write(labels, scan, tmp_path / "RS")).ROIContourSequence[0].ContourSequence
    assert contour.ContourGeometricType == "CLOSED_PLANAR"
    assert contour.NumberOfContourPoints == len(contour.ContourData) // 3 == 12  # two squares and a bridge
    polygon = scan.geometry.voxels_of_lps(np.array(contour.ContourData, float).reshape(-1, 3))
    np.testing.assert_allclose(polygon[:, 2], 3, atol=1e-4)
    centres = np.stack(np.meshgrid(np.arange(20), np.arange(24), indexing="ij"), axis=-1).reshape(-1, 2)
    inside = Outline(polygon[:, :2]).contains_points(centres).reshape(20, 24)
    np.testing.assert_array_equal(inside, labels[:, :, 3] == 1)


def test_corners_rounded_to_whole_voxels_lie_in_the_structure(tmp_path: Path) -> None:
    """So do readers that draw on the pixels of a picture, such as rt-utils; none may gain a voxel by it."""
    scan = scan_of(tmp_path)
    labels = (np.random.default_rng(0).random(scan.geometry.shape) < 0.6).astype(np.uint8)
    for contour in dcmread(write(labels, scan, tmp_path / "RS")).ROIContourSequence[0].ContourSequence:
        points = scan.geometry.voxels_of_lps(np.array(contour.ContourData, float).reshape(-1, 3))
        assert labels[tuple(np.rint(points).astype(int).T)].all()


def test_area_of_contours_is_that_of_the_voxels(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    labels = shell((20, 24, 9))
    area_mm2 = 0.0
    for contour in dcmread(write(labels, scan, tmp_path / "RS")).ROIContourSequence[0].ContourSequence:
        points = np.array(contour.ContourData, float).reshape(-1, 3)
        area_mm2 += float(np.linalg.norm(np.cross(points, np.roll(points, -1, axis=0)).sum(axis=0))) / 2
    assert area_mm2 == pytest.approx(labels.sum() * 0.8 * 1.1, rel=0.02)


def test_structures_that_share_values_overlap(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[4:14, 4:14, 2:7] = 1
    labels[6:9, 6:9, 3:5] = 2
    segments = [segment(1, "whole", values=(1, 2)), segment(2, "core", values=(2,))]
    assert_returns(write(labels, scan, tmp_path / "RS", segments), labels, scan, segments)


def test_every_contour_refers_to_the_image_of_its_slice(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, order=[5, 2, 8, 0, 1, 7, 3, 6, 4])
    labels = np.ones(scan.geometry.shape, np.uint8)
    dataset = dcmread(write(labels, scan, tmp_path / "RS"))
    contours = dataset.ROIContourSequence[0].ContourSequence
    images = {str(image.SOPInstanceUID): image for image in map(dcmread, (tmp_path / "images").iterdir())}
    assert len(contours) == 9
    for contour in contours:
        (reference,) = contour.ContourImageSequence
        image = images.pop(reference.ReferencedSOPInstanceUID)
        assert reference.ReferencedSOPClassUID == image.SOPClassUID
        normal = np.cross(image.ImageOrientationPatient[:3], image.ImageOrientationPatient[3:])
        points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(image.ImagePositionPatient, float)
        np.testing.assert_allclose(points @ normal, 0, atol=1e-3)
    (study,) = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert study.ReferencedSOPInstanceUID == "1.2.826.0.1.3680043.8.498.1"
    assert len(series.ContourImageSequence) == 9
    assert read_label_object(tmp_path / "RS").referenced_series == {series.SeriesInstanceUID}


def test_contours_of_an_enhanced_image_refer_to_its_frames(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    order = [3, 1, 4, 0, 2]
    geometry = grid((6, 7, 5), spacing_mm=(1, 2, 3), axcodes="LPS")
    write_enhanced(np.zeros(geometry.shape, np.int16), geometry, tmp_path / "images" / "E", order=order)
    scan = read_folder(tmp_path / "images").scan
    labels = np.ones(scan.geometry.shape, np.uint8)
    contours = dcmread(write(labels, scan, tmp_path / "RS")).ROIContourSequence[0].ContourSequence
    frames = [contour.ContourImageSequence[0].ReferencedFrameNumber for contour in contours]
    assert frames == [source.frame_number for source in scan.origin.slices]
    assert_returns(tmp_path / "RS", labels, scan, [segment(1)])


def test_structure_set_tells_patient_study_and_software(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="Müßig^Jörg")
    path = write(np.ones(scan.geometry.shape, np.uint8), scan, tmp_path / "RS")
    dataset = dcmread(path)
    assert dataset.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert str(dataset.PatientName) == "Müßig^Jörg"
    assert (dataset.PatientID, dataset.StudyDate) == (PATIENT["PatientID"], PATIENT["StudyDate"])
    assert dataset.PatientSex == ""  # which the source does not tell
    assert dataset.FrameOfReferenceUID == dcmread(scan.origin.files[0]).FrameOfReferenceUID
    assert (dataset.Modality, dataset.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    assert (dataset.ManufacturerModelName, dataset.SoftwareVersions) == ("Prostata-Modell", "0.1.0")
    assert dataset.StructureSetDescription == "research software"


def test_structures_have_names_colours_codes_and_types(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    segments = [
        segment(1, "GTV_Mass"),
        segment(2, "肝臓", category=ANATOMICAL, kind=LIVER, colour=(221, 130, 101)),
        segment(7, "kidney left", category=ANATOMICAL, kind=KIDNEY, laterality=LEFT),
        segment(9, "GTVish"),
    ]
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[3:5, 3:5, 3], labels[8, 8, 8] = 1, 2
    dataset = dcmread(write(labels, scan, tmp_path / "RS", segments))
    assert [roi.ROIName for roi in dataset.StructureSetROISequence] == [one.name for one in segments]
    assert [roi.ROINumber for roi in dataset.StructureSetROISequence] == [1, 2, 7, 9]
    assert {roi.ROIGenerationAlgorithm for roi in dataset.StructureSetROISequence} == {"AUTOMATIC"}
    assert [list(roi.ROIDisplayColor) for roi in dataset.ROIContourSequence][1] == [221, 130, 101]
    observed = dataset.RTROIObservationsSequence
    assert [one.RTROIInterpretedType for one in observed] == ["GTV", "ORGAN", "ORGAN", ""]
    (kidney,) = observed[2].RTROIIdentificationCodeSequence
    assert (kidney.CodeValue, kidney.CodingSchemeDesignator) == ("64033007", "SCT")
    assert kidney.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert "ContourSequence" not in dataset.ROIContourSequence[2]  # no voxel: named all the same


def test_equal_labels_have_equal_uids_and_others_do_not(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    labels = np.ones(scan.geometry.shape, np.uint8)
    first, again = (dcmread(write(labels, scan, tmp_path / name)) for name in ("a", "b"))
    labels[0, 0, 0] = 0
    other = dcmread(write(labels, scan, tmp_path / "c"))
    assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert first.SeriesInstanceUID == other.SeriesInstanceUID


def test_contour_of_more_than_64_kib_is_whole(tmp_path: Path) -> None:
    """An explicit transfer syntax has no room for it."""
    scan = scan_of(tmp_path, grid((96, 96, 3), axcodes="LPS"))
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[:, :, 1] = np.random.default_rng(0).random((96, 96)) < 0.75
    path = write(labels, scan, tmp_path / "RS")
    contours = dcmread(path).ROIContourSequence[0].ContourSequence
    assert max(len(contour.get_item("ContourData").value) for contour in contours) > 65536
    assert_returns(path, labels, scan, [segment(1)])


def test_microscopic_voxels_keep_their_corners(tmp_path: Path) -> None:
    scan = scan_of(
        tmp_path, grid((9, 8, 4), spacing_mm=(0.0005, 0.0007, 0.001), origin_mm=(31.5, -8, 2), axcodes="LPS")
    )
    labels = (np.random.default_rng(1).random(scan.geometry.shape) < 0.5).astype(np.uint8)
    path = write(labels, scan, tmp_path / "RS")
    assert_returns(path, labels, scan, [segment(1)])
    for contour in dcmread(path).ROIContourSequence[0].ContourSequence:
        assert max(map(len, contour.get_item("ContourData").value.decode().split("\\"))) <= 16


def refused(labels: np.ndarray, scan: Scan, path: Path, match: str, segments: list[Segment] | None = None) -> None:
    with pytest.raises(DeliveryError, match=match):
        write(labels, scan, path, segments)
    assert not path.exists()
    assert not list(path.parent.glob(".*.part*"))


def test_what_no_contour_can_lie_on_is_refused(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    labels, path = np.ones(scan.geometry.shape, np.uint8), tmp_path / "RS"
    refused(labels[1:], scan, path, r"shape \(20, 24, 9\), got \(19, 24, 9\)")
    refused(labels, replace(scan, origin=None), path, "must be a DICOM series, got another form")
    assert isinstance(scan.origin, SeriesOrigin)
    refused(labels, replace(scan, origin=replace(scan.origin, is_resampled=True)), path, "slices that a repair made")
    refused(labels, replace(scan, origin=replace(scan.origin, modality="DX")), path, "got a picture")
    for uid in ("study_uid", "series_uid", "frame_of_reference_uid"):
        refused(labels, replace(scan, origin=replace(scan.origin, **{uid: ""})), path, "UID, got none")


def test_series_in_colour_is_refused(tmp_path: Path) -> None:
    scan = scan_of(tmp_path)
    assert isinstance(scan.origin, SeriesOrigin)
    for file in scan.origin.files:
        dataset = dcmread(file)
        dataset.SamplesPerPixel = 3
        dataset.save_as(file)
    refused(np.ones(scan.geometry.shape, np.uint8), scan, tmp_path / "RS", "got colours")


@pytest.mark.parametrize("change", ["missing", "replaced", "moved", "damaged"])
def test_series_that_changed_is_refused(tmp_path: Path, change: str) -> None:
    scan = scan_of(tmp_path)
    assert isinstance(scan.origin, SeriesOrigin)
    file = scan.origin.slices[4].file
    dataset = dcmread(file)
    if change == "missing":
        file.unlink()
    elif change == "damaged":
        file.write_bytes(b"no DICOM")
    else:
        if change == "replaced":
            dataset.SOPInstanceUID += ".1"
        else:
            dataset.ImagePositionPatient = [0, 0, 0]
        dataset.save_as(file)
    refused(np.ones(scan.geometry.shape, np.uint8), scan, tmp_path / "RS", f"{file.name}|must hold the image")


@pytest.mark.parametrize("name", ["", "  ", "a\\b", "a\nb", "n" * 65])
def test_names_that_no_element_holds_are_refused(tmp_path: Path, name: str) -> None:
    scan = scan_of(tmp_path)
    nameless = replace(segment(1), name=name)
    refused(np.ones(scan.geometry.shape, np.uint8), scan, tmp_path / "RS", "name of structure 1 must be", [nameless])


def program(name: str) -> str:
    """Path of a program; the test is skipped where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    check, scan = program("dciodvfy"), scan_of(tmp_path)
    segments = [segment(1, "liver", category=ANATOMICAL, kind=LIVER, laterality=LEFT), segment(2, "肝臓"), segment(3)]
    path = write((np.arange(20 * 24 * 9).reshape(20, 24, 9) % 3).astype(np.uint8), scan, tmp_path / "RS", segments)
    done = subprocess.run([check, str(path)], capture_output=True, text=True, check=False)
    assert [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")] == []


def test_plastimatch_finds_the_voxels(tmp_path: Path) -> None:
    convert = program("plastimatch")
    scan = scan_of(tmp_path, grid((20, 21, 9), spacing_mm=(0.8, 1.1, 3.0), origin_mm=(-12, 5, 40), axcodes="LPS"))
    labels = shell(scan.geometry.shape)
    path = write(labels, scan, tmp_path / "RS", [segment(1, "shell")])
    given_paths = ["--input", str(path), "--referenced-ct", str(tmp_path / "images")]
    results = ["--output-prefix", str(tmp_path / "masks"), "--prefix-format", "nrrd"]
    subprocess.run([convert, "convert", *given_paths, *results], capture_output=True, check=True)
    mask = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "masks" / "shell.nrrd"))).T
    np.testing.assert_array_equal(mask > 0, labels == 1)


def test_equal_masks_of_two_volumes_of_a_series_are_two_objects(tmp_path: Path) -> None:
    uids = set()
    for name in ("first", "second"):
        scan = scan_of(tmp_path / name, series_uid="1.2.826.0.1.3680043.8.498.7")
        path = write(np.zeros(scan.geometry.shape, np.uint8), scan, tmp_path / f"{name}.dcm", [segment(1)])
        uids.add(str(dcmread(path).SOPInstanceUID))
    assert len(uids) == 2
