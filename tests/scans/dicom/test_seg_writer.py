"""A mask as a DICOM SEG: what two libraries read back, and the images that it refers to."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import DeliveryError, ScanError
from medseg.geometry import Geometry
from medseg.origin import SeriesOrigin
from medseg.records import Scan
from medseg.scans.dicom import (
    SegKind,
    SeriesRules,
    draw_label_object,
    read_label_object,
    read_seg_with_dcmqi,
    read_seg_with_highdicom,
    read_series,
    write_seg,
)
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import CodedTerm, Segment
from pydicom import Dataset, dcmread
from pydicom.uid import DigitalXRayImageStorageForPresentation, ImplicitVRLittleEndian, JPEG2000Lossless

from tests.dicom_files import (
    PATIENT,
    decimals,
    found_in,
    read_folder,
    recode,
    save,
    slice_dataset,
    write_enhanced,
    write_mosaic,
    write_reconstructed_nm,
    write_series,
)
from tests.grids import OBLIQUE, grid
from tests.segments import ALGORITHM, ANATOMY, mask_on, segments

ARRAY = np.random.default_rng(3).integers(-1000, 3000, OBLIQUE.shape).astype(np.int16)
UPRIGHT = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), origin_mm=(5, -7, 30), axcodes="LPS")
FEET_FIRST = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), origin_mm=(5, -7, 30), axcodes="LPI")
SAGITTAL = grid((8, 6, 5), spacing_mm=(2, 2.5, 4), angles=(0.1, 0.2, -0.1), axcodes="PIR")
COUNTS = np.random.default_rng(4).integers(0, 4000, UPRIGHT.shape).astype(np.uint16)
DCIODVFY = shutil.which("dciodvfy")
KINDS: tuple[SegKind, ...] = ("labelmap", "binary")
READERS = (read_seg_with_highdicom, read_seg_with_dcmqi)
TWO = segments("Leber", "肝臓")


def single(folder: Path, geometry: Geometry = OBLIQUE, **values: object) -> Scan:
    array = np.random.default_rng(3).integers(0, 99, geometry.shape).astype(np.int16)
    write_series(array, geometry, folder, order=[3, 0, 4, 1, 2], **values)
    return read_folder(folder).scan


def enhanced(folder: Path) -> Scan:
    folder.mkdir()
    write_enhanced(ARRAY, OBLIQUE, folder / "one", order=[3, 0, 4, 1, 2])
    return read_folder(folder).scan


def mosaic(folder: Path) -> Scan:
    folder.mkdir()
    write_mosaic(COUNTS, UPRIGHT, folder / "one")
    return read_folder(folder).scan


def nuclear(folder: Path) -> Scan:
    folder.mkdir()
    write_reconstructed_nm(COUNTS, UPRIGHT, folder / "one")
    return read_folder(folder).scan


def tilted(folder: Path) -> Scan:
    """A gantry tilt of 15°, repaired."""
    for k, dataset in enumerate(write_series(COUNTS, UPRIGHT, folder)):
        place = UPRIGHT.to_lps()[:3] @ [0, 0, k, 1] + [0, k * UPRIGHT.spacing_mm[2] * np.tan(np.radians(15)), 0]
        dataset.ImagePositionPatient = decimals(place)
        save(dataset, folder / f"{k:05d}")
    return read_folder(folder, repair=frozenset({"tilt"})).scan


SOURCES: dict[str, Callable[[Path], Scan]] = {
    "oblique": single,
    "feet first": lambda folder: single(folder, FEET_FIRST),
    "sagittal": lambda folder: single(folder, SAGITTAL),
    "enhanced": enhanced,
    "mosaic": mosaic,
    "nuclear medicine": nuclear,
    "tilt, repaired": tilted,
}


def drawn(scan: Scan, values: Sequence[int] = (1, 2), seed: int = 0) -> np.ndarray:
    """Values here and there, but none on the first slice and one on the third, so that frames are left out."""
    labels = np.random.default_rng(seed).choice([0, 0, *values], scan.geometry.shape).astype(np.uint8)
    labels[:, :, 0] = 0
    labels[:, :, 2][labels[:, :, 2] != values[0]] = 0
    return labels


def write(scan: Scan, path: Path, labels: np.ndarray, kind: SegKind, parts: Sequence[Segment] = TWO) -> Dataset:
    write_seg(labels, parts, scan, path, kind=kind, algorithm=ALGORITHM)
    return dcmread(path)


def origin_of(scan: Scan) -> SeriesOrigin:
    assert isinstance(scan.origin, SeriesOrigin)
    return scan.origin


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_every_voxel_is_read_back_by_both_libraries_and_our_own_reader(
    source: str, kind: SegKind, tmp_path: Path
) -> None:
    scan = SOURCES[source](tmp_path / "scan")
    labels = drawn(scan)
    write(scan, tmp_path / "seg.dcm", labels, kind)
    for reader in READERS:
        found = reader(tmp_path / "seg.dcm")
        assert found.names == {1: "Leber", 2: "肝臓"}
        assert found.numbers == (1, 2)
        for number in (1, 2):
            np.testing.assert_array_equal(mask_on(found, number, scan.geometry), labels == number)
    ours = draw_label_object(read_label_object(tmp_path / "seg.dcm"), scan.geometry)
    for number, one in enumerate(ours, start=1):
        np.testing.assert_array_equal(one.mask, labels == number)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["oblique", "enhanced", "nuclear medicine"])
def test_each_frame_refers_to_the_image_or_frame_of_its_slice(source: str, kind: SegKind, tmp_path: Path) -> None:
    scan = SOURCES[source](tmp_path / "scan")
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan), kind)
    slices = origin_of(scan).slices
    for group in dataset.PerFrameFunctionalGroupsSequence:
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        place = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        source_slice = slices[round(float(scan.geometry.voxels_of_lps(place[np.newaxis])[0, 2]))]
        assert (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID) == (
            source_slice.sop_instance_uid, source_slice.sop_class_uid,
        )  # fmt: skip
        assert item.get("ReferencedFrameNumber") == source_slice.frame_number
        assert item.SpatialLocationsPreserved == "YES"


@pytest.mark.parametrize("source", SOURCES)
def test_the_whole_refers_to_each_source_image_once_in_its_series_and_frame_of_reference(
    source: str, tmp_path: Path
) -> None:
    scan = SOURCES[source](tmp_path / "scan")
    origin = origin_of(scan)
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap")
    (series,) = dataset.ReferencedSeriesSequence
    uids = [one.ReferencedSOPInstanceUID for one in series.ReferencedInstanceSequence]
    assert sorted(uids) == sorted({one.sop_instance_uid for one in origin.slices})
    assert (series.SeriesInstanceUID, dataset.StudyInstanceUID) == (origin.series_uid, origin.study_uid)
    assert dataset.FrameOfReferenceUID == origin.frame_of_reference_uid


def test_frames_of_a_repaired_scan_refer_to_the_whole_series_and_claim_no_pixel(tmp_path: Path) -> None:
    scan = tilted(tmp_path / "scan")
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan), "binary")
    assert all("DerivationImageSequence" not in group for group in dataset.PerFrameFunctionalGroupsSequence)
    items = dataset.SharedFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence
    assert [item.ReferencedSOPInstanceUID for item in items] == [one.sop_instance_uid for one in origin_of(scan).slices]
    assert {item.SpatialLocationsPreserved for item in items} == {"NO"}


def test_tiles_of_a_mosaic_claim_no_pixel_of_the_mosaic(tmp_path: Path) -> None:
    scan = mosaic(tmp_path / "scan")
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap")
    items = [group.DerivationImageSequence[0].SourceImageSequence for group in dataset.PerFrameFunctionalGroupsSequence]
    assert {item.SpatialLocationsPreserved for (item,) in items} == {"NO"}


def test_segments_say_their_code_side_colour_and_algorithm(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    kidney = Segment(
        number=1, name="Niere links", values=(1,), colour=(185, 102, 83), category=ANATOMY,
        kind=CodedTerm("64033007", "SCT", "Kidney"), laterality=CodedTerm("7771000", "SCT", "Left"),
    )  # fmt: skip
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan, (1, 2)), "binary", [kidney, TWO[1]])
    one, other = dataset.SegmentSequence
    kind = one.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning) == ("64033007", "SCT", "Kidney")
    assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeValue == "7771000"
    assert one.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert other.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert (one.SegmentAlgorithmType, one.SegmentAlgorithmName) == ("AUTOMATIC", "balls")
    identity = one.SegmentationAlgorithmIdentificationSequence[0]
    assert (identity.AlgorithmName, identity.AlgorithmVersion, identity.AlgorithmSource) == ("balls", "0.1.0", "medseg")
    assert "0123abcd" in identity.AlgorithmParameters
    assert dataset.SeriesDescription == "Segmentation: balls"


def test_recommended_colours_are_the_srgb_of_the_segments_in_cielab(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    red = replace(TWO[0], colour=(255, 0, 0))
    item = write(scan, tmp_path / "seg.dcm", drawn(scan), "binary", [red, TWO[1]]).SegmentSequence[0]
    lightness, a, b = item.RecommendedDisplayCIELabValue
    # L*a*b* of sRGB red under D65 is 53.24, 80.09, 67.20 (Lindbloom); PS3.3 C.10.7.1.1 gives the integers.
    found = (lightness * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128)
    assert found == pytest.approx((53.24, 80.09, 67.20), abs=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_mask_written_again_is_the_same_object_and_another_is_not(kind: SegKind, tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    first, again = (write(scan, tmp_path / name, drawn(scan), kind) for name in ("a", "b"))
    other = write(scan, tmp_path / "c", drawn(scan, seed=1), kind)
    assert first.SOPInstanceUID == again.SOPInstanceUID != other.SOPInstanceUID
    assert first.SeriesInstanceUID == again.SeriesInstanceUID != other.SeriesInstanceUID
    assert [one.get("TrackingUID") for one in first.SegmentSequence] == [
        one.get("TrackingUID") for one in again.SegmentSequence
    ]


def test_patient_and_study_are_those_of_the_source_with_what_is_missing_left_empty(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan", PatientAge="059Y")
    dataset = write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap")
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "AccessionNumber", "StudyDate"):
        assert str(dataset[keyword].value) == PATIENT[keyword]
    assert dataset.PatientAge == "059Y"
    assert (dataset.PatientSex, dataset.StudyID, dataset.StudyTime) == ("", "", "")


@pytest.mark.parametrize(
    "values",
    [
        {"PatientSex": "unknown", "StudyDate": "2024.05.17", "PatientBirthDate": "about 1950"},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen"},
        {"SpecificCharacterSet": "GB18030", "PatientName": "王^小东"},
        {"PatientID": None, "PatientName": None, "StudyDate": None, "FrameOfReferenceUID": ""},
    ],
)
def test_sources_that_break_rules_or_use_other_characters_still_get_a_seg(
    values: dict[str, str | None], tmp_path: Path
) -> None:
    scan = single(tmp_path / "scan", **values)
    labels = drawn(scan)
    dataset = write(scan, tmp_path / "seg.dcm", labels, "binary")
    if name := values.get("PatientName"):
        assert str(dataset.PatientName) == name
    assert dataset.FrameOfReferenceUID
    for reader in READERS:
        np.testing.assert_array_equal(mask_on(reader(tmp_path / "seg.dcm"), 2, scan.geometry), labels == 2)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, JPEG2000Lossless])
def test_sources_in_other_transfer_syntaxes_get_a_seg(syntax: str, tmp_path: Path) -> None:
    single(tmp_path / "scan")
    for path in list((tmp_path / "scan").iterdir()):
        if syntax == ImplicitVRLittleEndian:
            save(dcmread(path), path, transfer_syntax=syntax)
        else:
            recode(path, "JPEG2000Lossless", path)
    scan = read_folder(tmp_path / "scan").scan
    labels = drawn(scan)
    write(scan, tmp_path / "seg.dcm", labels, "labelmap")
    np.testing.assert_array_equal(mask_on(read_seg_with_dcmqi(tmp_path / "seg.dcm"), 1, scan.geometry), labels == 1)


@pytest.mark.parametrize("reader", READERS)
def test_overlapping_segments_are_binary_and_both_libraries_read_both(
    reader: Callable[[Path], ReadBack], tmp_path: Path
) -> None:
    scan = single(tmp_path / "scan")
    labels = drawn(scan, (1, 2, 4))
    whole = replace(TWO[0], name="whole", values=(1, 2, 4))
    core = replace(TWO[1], name="core", values=(2, 4))
    write(scan, tmp_path / "seg.dcm", labels, "binary", [whole, core])
    found = reader(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(mask_on(found, 1, scan.geometry), labels > 0)
    np.testing.assert_array_equal(mask_on(found, 2, scan.geometry), labels >= 2)


def test_a_labelmap_refuses_segments_that_share_a_value(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    parts = [replace(TWO[0], values=(1, 2)), replace(TWO[1], values=(2,))]
    with pytest.raises(DeliveryError, match="must share no voxels, got 'Leber' and '肝臓'"):
        write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap", parts)


@pytest.mark.parametrize("kind", KINDS)
def test_255_segments_are_the_most(kind: SegKind, tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    labels = (np.arange(scan.array[0].size) % 256).reshape(scan.geometry.shape).astype(np.uint8)
    most = segments(*(f"part {n}" for n in range(1, 256)))
    write(scan, tmp_path / "seg.dcm", labels, kind, most)
    found = read_seg_with_highdicom(tmp_path / "seg.dcm")
    assert found.numbers == tuple(range(1, 256))
    np.testing.assert_array_equal(mask_on(found, 255, scan.geometry), labels == 255)
    with pytest.raises(DeliveryError, match="must have 1 to 255 segments, got 256"):
        write(scan, tmp_path / "more.dcm", labels, kind, segments(*(f"part {n}" for n in range(1, 257))))
    with pytest.raises(DeliveryError, match="must have 1 to 255 segments, got 0"):
        write(scan, tmp_path / "more.dcm", labels, kind, [])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_an_empty_mask_is_a_seg_whose_segments_have_no_voxels(
    reader: Callable[[Path], ReadBack], kind: SegKind, tmp_path: Path
) -> None:
    scan = single(tmp_path / "scan")
    write(scan, tmp_path / "seg.dcm", np.zeros(scan.geometry.shape, np.uint8), kind)
    found = reader(tmp_path / "seg.dcm")
    assert found.numbers == ()
    assert found.names == {1: "Leber", 2: "肝臓"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_a_single_voxel_is_read_back(reader: Callable[[Path], ReadBack], kind: SegKind, tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    labels = np.zeros(scan.geometry.shape, np.uint8)
    labels[6, 0, 3] = 2
    write(scan, tmp_path / "seg.dcm", labels, kind)
    found = reader(tmp_path / "seg.dcm")
    assert found.numbers == (2,)
    np.testing.assert_array_equal(mask_on(found, 2, scan.geometry), labels == 2)


@pytest.mark.parametrize("kind", KINDS)
def test_values_may_be_large_negative_or_of_any_type(kind: SegKind, tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    labels = drawn(scan).astype(np.int64)
    coded = np.where(labels == 1, -5, np.where(labels == 2, 1_000_000, 0))
    parts = [replace(TWO[0], values=(-5,)), replace(TWO[1], values=(1_000_000,))]
    write(scan, tmp_path / "seg.dcm", coded, kind, parts)
    found = read_seg_with_highdicom(tmp_path / "seg.dcm")
    for number in (1, 2):
        np.testing.assert_array_equal(mask_on(found, number, scan.geometry), labels == number)


def test_a_long_name_with_signs_that_dicom_reserves_is_kept_in_the_description(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    name = "tumour\\core " + "x" * 80
    write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap", segments(name, "liver"))
    item = dcmread(tmp_path / "seg.dcm").SegmentSequence[1]
    assert (len(item.SegmentLabel), item.SegmentDescription) == (64, name)
    for reader in READERS:
        assert reader(tmp_path / "seg.dcm").names == {1: name, 2: "liver"}


@pytest.mark.parametrize(
    ("labels", "parts", "message"),
    [
        (np.zeros((7, 9, 4), np.uint8), TWO, r"mask must have the shape of its scan \(7, 9, 5\), got \(7, 9, 4\)"),
        (np.full((7, 9, 5), 3, np.uint8), TWO, "every value of the mask must belong to a segment, got 3"),
        (np.zeros((7, 9, 5), np.uint8), segments("liver", " "), "must have a name, got none for segment 2"),
        (np.zeros((7, 9, 5), np.uint8), TWO[1:], "must run from 1"),
    ],
)
def test_masks_and_segments_that_do_not_fit_are_refused_and_nothing_is_left(
    labels: np.ndarray, parts: Sequence[Segment], message: str, tmp_path: Path
) -> None:
    scan = single(tmp_path / "scan")
    with pytest.raises(DeliveryError, match=message):
        write(scan, tmp_path / "out" / "seg.dcm", labels, "labelmap", parts)
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_missing_changed_or_damaged_is_refused(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    labels, file = drawn(scan), origin_of(scan).files[2]
    whole = file.read_bytes()
    file.unlink()
    with pytest.raises(DeliveryError, match="No such file or directory, for file 3 of 5"):
        write(scan, tmp_path / "seg.dcm", labels, "labelmap")
    shutil.copyfile(origin_of(scan).files[1], file)
    with pytest.raises(DeliveryError, match="must be those that the mask was drawn on, got others"):
        write(scan, tmp_path / "seg.dcm", labels, "labelmap")
    first = origin_of(scan).files[0]
    file.write_bytes(whole)
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises((DeliveryError, ScanError)):
        write(scan, tmp_path / "seg.dcm", labels, "labelmap")
    assert not (tmp_path / "seg.dcm").exists()


def test_a_picture_and_a_scan_from_another_file_are_refused(tmp_path: Path) -> None:
    dataset = slice_dataset(np.arange(24, dtype=np.uint16).reshape(4, 6), 1)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    (tmp_path / "scan").mkdir()
    save(dataset, tmp_path / "scan" / "hand")
    scan = read_folder(tmp_path / "scan").scan
    with pytest.raises(DeliveryError, match="a place in the patient, got a picture without one"):
        write(scan, tmp_path / "seg.dcm", np.ones(scan.geometry.shape, np.uint8), "labelmap")
    with pytest.raises(DeliveryError, match="read from a DICOM series, got another file"):
        write(replace(scan, origin=None), tmp_path / "seg.dcm", np.ones(scan.geometry.shape, np.uint8), "labelmap")


def test_colour_is_refused(tmp_path: Path) -> None:
    scan = single(tmp_path / "scan")
    first = origin_of(scan).files[0]
    dataset = dcmread(first)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
    save(dataset, first)
    with pytest.raises(DeliveryError, match="images in grey values, got colour"):
        write(scan, tmp_path / "seg.dcm", drawn(scan), "labelmap")


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_of_one_slice_is_read_back(kind: SegKind, tmp_path: Path) -> None:
    geometry = grid((8, 6, 1), spacing_mm=(2, 2.5, 4), axcodes="LPS")
    write_series(np.ones(geometry.shape, np.int16), geometry, tmp_path / "scan")
    (found_series,) = found_in(tmp_path / "scan", SeriesRules(min_slices=1))
    scan = read_series(found_series).scan
    labels = np.random.default_rng(0).integers(0, 3, geometry.shape, np.uint8)
    write(scan, tmp_path / "seg.dcm", labels, kind)
    for reader in READERS:
        found = reader(tmp_path / "seg.dcm")
        for number in (1, 2):
            np.testing.assert_array_equal(mask_on(found, number, scan.geometry), labels == number)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", SOURCES)
def test_dciodvfy_finds_no_error_that_the_output_of_highdicom_lacks(source: str, kind: SegKind, tmp_path: Path) -> None:
    if DCIODVFY is None:
        pytest.skip("dciodvfy is not installed (Debian: apt-get install dicom3tools)")
    scan = SOURCES[source](tmp_path / "scan")
    write(scan, tmp_path / "seg.dcm", drawn(scan), kind)
    write_plainly(drawn(scan), single(tmp_path / "plain"), tmp_path / "plain.dcm", kind)
    assert errors_in(tmp_path / "seg.dcm") <= errors_in(tmp_path / "plain.dcm")


def errors_in(path: Path) -> set[str]:
    done = subprocess.run([str(DCIODVFY), str(path)], capture_output=True, text=True, check=False)
    return {line for line in done.stderr.splitlines() if line.startswith("Error")}


def write_plainly(labels: np.ndarray, scan: Scan, path: Path, kind: SegKind) -> None:
    """As highdicom's own documentation writes a SEG."""
    import highdicom
    from pydicom.sr.codedict import codes

    sources = [dcmread(one.file) for one in origin_of(scan).slices]
    for source in sources:
        source.PatientSex = source.StudyID = source.StudyTime = ""
    identity = highdicom.AlgorithmIdentificationSequence("x", codes.DCM.ArtificialIntelligence, "1")
    described = [
        highdicom.seg.SegmentDescription(
            number, f"part {number}", codes.SCT.AnatomicalStructure, codes.SCT.Liver, "AUTOMATIC", identity
        )
        for number in (1, 2)
    ]
    labels = np.resize(labels, scan.geometry.shape)
    highdicom.seg.Segmentation(
        sources, labels.transpose(2, 1, 0), kind.upper(), described, highdicom.UID(), 100, highdicom.UID(), 1,
        "x", "x", "1", "1", omit_empty_frames=kind == "binary",
    ).save_as(path)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_equal_masks_of_two_volumes_of_a_series_are_two_objects(tmp_path: Path, kind: SegKind) -> None:
    uids = set()
    for name in ("first", "second"):
        scan = single(tmp_path / name, series_uid="1.2.826.0.1.3680043.8.498.7")
        path = tmp_path / f"{name}.dcm"
        write_seg(np.zeros(scan.geometry.shape, np.uint8), TWO, scan, path, kind=kind, algorithm=ALGORITHM)
        uids.add(str(dcmread(path).SOPInstanceUID))
    assert len(uids) == 2
