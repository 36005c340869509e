"""Files as old archives and broken exports leave them: without preamble, file meta information or an ending."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom import is_dicom, read_instance
from pydicom.dataset import Dataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import MediaStorageDirectoryStorage, generate_uid

from tests.dicom_files import PATIENT, assert_same_voxels, instances_in, read_folder, save, write_series
from tests.grids import OBLIQUE

ARRAY = np.random.default_rng(8).integers(-2000, 3000, OBLIQUE.shape).astype(np.int16)


def rewrite(folder: Path, *, implicit_vr: bool, little_endian: bool = True) -> None:
    """The same data sets without preamble and file meta information."""
    for dataset in write_series(ARRAY, OBLIQUE, folder, order=[2, 0, 3, 1, 4]):
        path = folder / f"{dataset.InstanceNumber - 1:05d}"
        if not little_endian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
        dataset["PixelData"].VR = "OW"
        plain = Dataset()
        plain.update(dataset)
        dcmwrite(path, plain, implicit_vr=implicit_vr, little_endian=little_endian)
        assert path.read_bytes()[128:132] != b"DICM"


@pytest.mark.parametrize(("implicit_vr", "little_endian"), [(True, True), (False, True), (False, False)])
def test_files_without_preamble_and_meta_are_read(tmp_path: Path, implicit_vr: bool, little_endian: bool) -> None:
    rewrite(tmp_path, implicit_vr=implicit_vr, little_endian=little_endian)
    assert all(is_dicom(path) for path in tmp_path.iterdir())
    assert_same_voxels(read_folder(tmp_path), ARRAY, OBLIQUE)


def test_files_with_meta_but_without_preamble_are_read(tmp_path: Path) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[132:])
    assert_same_voxels(read_folder(tmp_path), ARRAY, OBLIQUE)


def test_files_whose_meta_names_no_transfer_syntax_are_read(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, OBLIQUE, tmp_path):
        del dataset.file_meta.TransferSyntaxUID
        dcmwrite(tmp_path / f"{dataset.InstanceNumber - 1:05d}", dataset, implicit_vr=False, little_endian=True)
    assert_same_voxels(read_folder(tmp_path), ARRAY, OBLIQUE)


def test_class_and_uid_are_those_of_the_meta_where_the_data_set_has_none(tmp_path: Path) -> None:
    (dataset, *_) = write_series(ARRAY, OBLIQUE, tmp_path)
    uid = dataset.SOPInstanceUID
    del dataset.SOPInstanceUID, dataset.SOPClassUID
    dataset.save_as(tmp_path / "one")
    instance = read_instance(tmp_path / "one")
    assert instance is not None
    assert (instance.sop_uid, instance.sop_class) == (uid, "CT Image Storage")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"\x08\0",
        b"Notes on a scan, longer than a hundred and forty bytes " * 4,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 200,
        b"\0" * 400,
        b"\x08\0\x05\0\xff\xff\xff\x7f" + b"\0" * 200,
    ],
)
def test_other_files_are_not_dicom(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one").write_bytes(content)
    assert not is_dicom(tmp_path / "one")
    assert read_instance(tmp_path / "one") is None


def test_directory_file_is_no_image(tmp_path: Path) -> None:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = MediaStorageDirectoryStorage, generate_uid()
    dataset.FileSetID = "DISC1"
    save(dataset, tmp_path / "disc")
    assert read_instance(tmp_path / "disc") is None


def test_file_that_may_not_be_read_is_told_without_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "Mustermann"
    folder.mkdir()
    with pytest.raises(ScanError, match="a file must be readable, got: Is a directory") as refused:
        read_instance(folder)
    assert "Mustermann" not in str(refused.value)


def test_header_of_a_compressed_data_set_is_read(tmp_path: Path) -> None:
    """Deflated, so that even the header is coded."""
    write_series(ARRAY, OBLIQUE, tmp_path / "plain")
    from pydicom.filereader import dcmread

    dataset = dcmread(tmp_path / "plain" / "00000")
    save(dataset, tmp_path / "one", transfer_syntax="1.2.840.10008.1.2.1.99")
    assert PATIENT["PatientID"].encode() not in (tmp_path / "one").read_bytes()
    instance = read_instance(tmp_path / "one")
    assert instance is not None
    assert instance.identity.patient_id == PATIENT["PatientID"]


def test_header_says_who_what_and_where(tmp_path: Path) -> None:
    write_series(
        ARRAY, OBLIQUE, tmp_path, series_uid="1.2.3", SeriesDescription="Abdomen ", Units="bqml", Modality="pt",
        ImageType=["original", "PRIMARY"], ContentDate="20240518", ContentTime="101112", BodyPartExamined="LEG",
        RecognizableVisualFeatures="YES", ImagesInAcquisition=5, OperatorsName="Op^A",
        IssuerOfPatientID="KLB",
    )  # fmt: skip
    instance = instances_in(tmp_path)[0]
    assert (instance.series_uid, instance.description, instance.units, instance.modality) == (
        "1.2.3", "Abdomen", "BQML", "PT",
    )  # fmt: skip
    assert instance.image_type == ("ORIGINAL", "PRIMARY")
    assert instance.series_time == "20240518101112"
    assert instance.body_part == "LEG"
    assert instance.has_recognisable_features
    assert instance.images_in_acquisition == 5
    assert instance.pixel_format == (16, 16, 1)
    identity = instance.identity
    assert (identity.patient_id, identity.issuer, identity.name) == ("MRN-0047110815", "KLB", "Mustermann^Erika")
    assert (identity.birth_date, identity.institution) == ("19640812", "Klinikum Beispielstadt")
    assert set(identity.others) == {"ACC9988776", "Op^A", "Zuweiser^Zacharias"}


@pytest.mark.parametrize(
    ("values", "is_burned_in"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"BurnedInAnnotation": "no", "Modality": "US"}, False),
        ({"Modality": "US"}, True),
        ({"ConversionType": "WSD"}, True),
        ({"ConversionType": "WSD", "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_text_in_the_pixels_is_feared_where_nothing_rules_it_out(
    tmp_path: Path, values: dict[str, str], is_burned_in: bool
) -> None:
    write_series(ARRAY, OBLIQUE, tmp_path, **values)
    assert instances_in(tmp_path)[0].is_burned_in is is_burned_in


def test_values_that_the_standard_forbids_are_read_as_missing(tmp_path: Path) -> None:
    """A text where a number must be, as broken exports write: refused as a volume, never a crash."""
    write_series(ARRAY, OBLIQUE, tmp_path)
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        start = content.index(struct.pack("<2H", 0x0028, 0x0030))  # pixel spacing
        size = struct.unpack_from("<H", content, start + 6)[0]
        path.write_bytes(content[: start + 8] + b"?" * size + content[start + 8 + size :])
    with pytest.raises(ScanError):
        read_folder(tmp_path)
