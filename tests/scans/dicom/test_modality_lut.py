"""Modality LUTs: values as pydicom looks them up, in volumes and radiographs, and not at all in angiograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.pixels.processing import apply_modality_lut
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from tests.dicom_files import assert_same_voxels, read_folder, save, slice_dataset, write_series
from tests.grids import grid

GRID = grid((16, 8, 4), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
NOTE = "its Modality LUT leads back to the intensity of the X-ray beam and was not applied"


def lut(entries: np.ndarray, *, first: int = 0, bits: int = 16, form: str = "words", order: str = "<") -> Dataset:
    """A table in one of the forms that files hold."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) % 65536, first, bits])
    item.ModalityLUTType = "US"
    if form == "numbers":
        item.add_new("LUTData", "US", [int(entry) for entry in entries])
    else:
        kind = np.uint8 if form == "bytes" else f"{order}u2"
        item.add_new("LUTData", "OW", entries.astype(kind).tobytes() + b"\0" * (form == "bytes" and len(entries) % 2))
    return item


def write_radiograph(path: Path, pixels: np.ndarray, table: Dataset, **values: Any) -> None:
    dataset = slice_dataset(pixels, 1)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.SOPClassUID, dataset.Modality = ComputedRadiographyImageStorage, "CR"
    dataset.ModalityLUTSequence = DicomSequence([table])
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    save(dataset, path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("form", ["words", "numbers"])
@pytest.mark.parametrize(("first", "is_signed"), [(0, False), (40, False), (-300, True)])
def test_values_of_a_volume_are_those_that_pydicom_looks_up(
    tmp_path: Path, syntax: str, form: str, first: int, is_signed: bool
) -> None:
    """Stored values below the first and above the last entry among them."""
    is_big = syntax == ExplicitVRBigEndian
    rng = np.random.default_rng(0)
    array = rng.integers(first - 20 if is_signed else max(first - 20, 0), first + 300, GRID.shape).astype(
        np.int16 if is_signed else np.uint16
    )
    entries = np.sort(rng.integers(0, 60000, 256))
    expected = np.zeros(GRID.shape, np.int64)
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        del dataset.RescaleSlope, dataset.RescaleIntercept
        table = lut(entries, first=first, form=form, order=">" if is_big else "<")
        dataset.ModalityLUTSequence = DicomSequence([table])
        if is_big:
            dataset.PixelData = np.ascontiguousarray(array[:, :, k].T).astype(array.dtype.newbyteorder(">")).tobytes()
            dataset["PixelData"].VR = "OW"
        save(dataset, tmp_path / f"{k:05d}", transfer_syntax=syntax)
        written = dcmread(tmp_path / f"{k:05d}")
        expected[:, :, k] = apply_modality_lut(written.pixel_array.astype(np.int64), written).T
    assert_same_voxels(read_folder(tmp_path), expected, GRID)


@pytest.mark.parametrize(("bits", "form"), [(8, "bytes"), (8, "words"), (10, "words"), (12, "numbers")])
def test_table_of_any_depth_is_looked_up(tmp_path: Path, bits: int, form: str) -> None:
    entries = np.linspace(0, 2**bits - 1, 51).astype(np.int64)
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    write_radiograph(tmp_path / "one", pixels, lut(entries, bits=bits, form=form))
    np.testing.assert_array_equal(read_folder(tmp_path).scan.array[0, :, :, 0].T, entries[np.minimum(pixels, 50)])


def test_table_of_all_words_is_looked_up(tmp_path: Path) -> None:
    """Its count of 65,536 is stored as 0."""
    entries = np.arange(65536)[::-1]
    pixels = np.linspace(0, 65535, 60).astype(np.uint16).reshape(6, 10)
    write_radiograph(tmp_path / "one", pixels, lut(entries))
    np.testing.assert_array_equal(read_folder(tmp_path).scan.array[0, :, :, 0].T, 65535 - pixels.astype(int))


def test_table_wins_over_a_slope_beside_it(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    table = lut(2 * np.arange(64) + 100)
    write_radiograph(tmp_path / "one", pixels, table, RescaleSlope=7, RescaleIntercept=-5)
    np.testing.assert_array_equal(read_folder(tmp_path).scan.array[0, :, :, 0].T, 2 * pixels.astype(int) + 100)


def test_inverted_radiograph_is_turned_round_within_the_bits_of_its_table(tmp_path: Path) -> None:
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    table = lut(2 * np.arange(64) + 100, bits=12)
    write_radiograph(tmp_path / "one", pixels, table, PhotometricInterpretation="MONOCHROME1")
    expected = 4095 - (2 * pixels.astype(int) + 100)
    np.testing.assert_array_equal(read_folder(tmp_path).scan.array[0, :, :, 0].T, expected)


@pytest.mark.parametrize(
    ("values", "is_applied"),
    [
        ({"SOPClassUID": XRayAngiographicImageStorage, "Modality": "XA", "PixelIntensityRelationship": "LOG"}, False),
        ({"SOPClassUID": XRayAngiographicImageStorage, "Modality": "XA", "PixelIntensityRelationship": "DISP"}, False),
        ({"SOPClassUID": XRayAngiographicImageStorage, "Modality": "XA", "PixelIntensityRelationship": "LIN"}, True),
        ({"SOPClassUID": XRayRadiofluoroscopicImageStorage, "Modality": "RF"}, False),
        ({"Modality": "RF", "PixelIntensityRelationship": "LOG"}, False),
        ({"Modality": "RF"}, True),
        ({"Modality": "CR", "PixelIntensityRelationship": "LOG"}, True),
    ],
)
def test_table_that_leads_back_to_the_beam_is_not_applied(
    tmp_path: Path, values: dict[str, str], is_applied: bool
) -> None:
    """PS3.3 C.8.7.1.1.2: of angiograms it undoes what makes them images."""
    pixels = np.arange(60, dtype=np.uint16).reshape(6, 10)
    write_radiograph(tmp_path / "one", pixels, lut(2 * np.arange(64) + 100), PixelSpacing=[1, 1], **values)
    series = read_folder(tmp_path)
    expected = 2 * pixels.astype(int) + 100 if is_applied else pixels
    np.testing.assert_array_equal(series.scan.array[0, :, :, 0].T, expected)
    assert series.notes == (() if is_applied else (NOTE,))


def test_empty_table_is_refused(tmp_path: Path) -> None:
    table = lut(np.arange(4))
    table.LUTData = None
    write_radiograph(tmp_path / "one", np.zeros((6, 10), np.uint16), table)
    with pytest.raises(ScanError, match="a Modality LUT must hold entries, got none"):
        read_folder(tmp_path)
