"""How values lie in the pixels of a file: bits, signs, colours, palettes, fractions, inverted greys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.scans.dicom.pixels import read_pixels
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ParametricMapStorage,
    UltrasoundImageStorage,
    VLPhotographicImageStorage,
)

from tests.dicom_files import read_folder, save, slice_dataset

ROWS, COLUMNS = 4, 6


def write_picture(path: Path, pixels: np.ndarray, **values: Any) -> Dataset:
    """A radiograph of one file; `pixels` are its bytes as they stand."""
    dataset = slice_dataset(np.zeros((ROWS, COLUMNS), np.uint16), 1)
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 else "OW"
    save(dataset, path)
    return dataset


def stored(path: Path) -> np.ndarray:
    """Stored values of the only frame, `(rows, columns)`."""
    return read_pixels(path).frames[0, :, :, 0]


def spread(low: int, high: int, dtype: type) -> np.ndarray:
    """Values from the lowest to the highest."""
    return np.linspace(low, high, ROWS * COLUMNS).round().astype(dtype).reshape(ROWS, COLUMNS)


@pytest.mark.parametrize(
    ("dtype", "bits"),
    [(np.uint8, 8), (np.uint8, 5), (np.uint16, 16), (np.uint16, 12), (np.uint32, 32), (np.uint32, 20)],
)
def test_unsigned_values_of_any_depth_are_read(tmp_path: Path, dtype: type, bits: int) -> None:
    pixels = spread(0, 2**bits - 1, dtype)
    allocated = 8 * pixels.itemsize
    write_picture(tmp_path / "one", pixels, BitsAllocated=allocated, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(stored(tmp_path / "one"), pixels)


@pytest.mark.parametrize(
    ("dtype", "bits"), [(np.int8, 8), (np.int16, 16), (np.int16, 12), (np.int32, 32), (np.int32, 20)]
)
def test_signed_values_of_any_depth_are_read(tmp_path: Path, dtype: type, bits: int) -> None:
    pixels = spread(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, dtype)
    allocated = 8 * pixels.itemsize
    write_picture(
        tmp_path / "one", pixels, BitsAllocated=allocated, BitsStored=bits, HighBit=bits - 1, PixelRepresentation=1
    )
    np.testing.assert_array_equal(stored(tmp_path / "one"), pixels)


def test_one_bit_per_pixel_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((ROWS, COLUMNS)) > 0.5
    packed = np.packbits(pixels.ravel(), bitorder="little")
    write_picture(tmp_path / "one", packed, BitsAllocated=1, BitsStored=1, HighBit=0)
    np.testing.assert_array_equal(stored(tmp_path / "one"), pixels)


def test_overlay_above_the_stored_bits_is_no_part_of_the_value(tmp_path: Path) -> None:
    """Old files keep an overlay in bit 12 (PS3.5 8.1.1)."""
    pixels = spread(0, 4095, np.uint16)
    overlay = np.where(np.arange(24).reshape(ROWS, COLUMNS) % 5 == 0, 0x1000, 0).astype(np.uint16)
    write_picture(tmp_path / "one", pixels | overlay, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(stored(tmp_path / "one"), pixels)


def test_overlay_above_the_stored_bits_of_signed_values_is_no_part_of_them(tmp_path: Path) -> None:
    pixels = spread(-2048, 2047, np.int16)
    overlay = np.where(np.arange(24).reshape(ROWS, COLUMNS) % 5 == 0, 0x5000, 0).astype(np.int16)
    write_picture(tmp_path / "one", (pixels & 0x0FFF) | overlay, BitsStored=12, HighBit=11, PixelRepresentation=1)
    np.testing.assert_array_equal(stored(tmp_path / "one"), pixels)


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", np.float32), ("DoubleFloatPixelData", np.float64)])
def test_fractions_are_read(tmp_path: Path, keyword: str, dtype: type) -> None:
    pixels = (np.arange(24).reshape(ROWS, COLUMNS) / 8).astype(dtype)
    dataset = slice_dataset(np.zeros((ROWS, COLUMNS), np.uint16), 1)
    dataset.SOPClassUID, dataset.Modality = ParametricMapStorage, "MR"
    for name in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, name)
    dataset.BitsAllocated = 8 * pixels.itemsize
    setattr(dataset, keyword, pixels.tobytes())
    save(dataset, tmp_path / "one")
    frames = read_pixels(tmp_path / "one").frames
    assert frames.dtype == dtype
    np.testing.assert_array_equal(frames[0, :, :, 0], pixels)


@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_channels_however_they_are_interleaved(tmp_path: Path, planar: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)
    write_picture(
        tmp_path / "one", np.ascontiguousarray(pixels.transpose(2, 0, 1)) if planar else pixels,
        SOPClassUID=VLPhotographicImageStorage, Modality="XC", SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=planar, BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    scan = read_folder(tmp_path).scan
    assert scan.array.shape == (3, COLUMNS, ROWS, 1)
    np.testing.assert_array_equal(scan.array[..., 0], pixels.transpose(2, 1, 0))


def test_luminance_and_chrominance_become_red_green_and_blue(tmp_path: Path) -> None:
    """Y = 76, Cb = 85, Cr = 255 is pure red (PS3.3 C.7.6.3.1.2)."""
    pixels = np.tile(np.array([76, 85, 255], np.uint8), (ROWS, COLUMNS, 1))
    write_picture(
        tmp_path / "one", pixels, SOPClassUID=UltrasoundImageStorage, Modality="US", SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    array = read_folder(tmp_path).scan.array
    np.testing.assert_allclose(array[:, 0, 0, 0], [254, 0, 0], atol=1)


def test_halved_chrominance_is_read(tmp_path: Path) -> None:
    """YBR_FULL_422 holds Y Y Cb Cr for two pixels of a row."""
    pixels = np.tile(np.array([76, 76, 85, 255], np.uint8), (ROWS, COLUMNS // 2, 1))
    write_picture(
        tmp_path / "one", pixels, SOPClassUID=UltrasoundImageStorage, Modality="US", SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7,
    )  # fmt: skip
    array = read_folder(tmp_path).scan.array
    assert array.shape == (3, COLUMNS, ROWS, 1)
    np.testing.assert_allclose(array.reshape(3, -1).T, np.tile([254, 0, 0], (24, 1)), atol=1)


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_is_looked_up(tmp_path: Path, bits: int) -> None:
    index = (np.arange(24) % 4).astype(np.uint8).reshape(ROWS, COLUMNS)
    dtype = np.uint8 if bits == 8 else np.uint16
    table = (np.arange(12).reshape(3, 4) * (20 if bits == 8 else 5000)).astype(dtype)
    tables = {}
    for colour, values in zip(("Red", "Green", "Blue"), table, strict=True):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        tables[f"{colour}PaletteColorLookupTableData"] = values.tobytes()
    write_picture(
        tmp_path / "one", index, SOPClassUID=UltrasoundImageStorage, Modality="US", BitsAllocated=8, BitsStored=8,
        HighBit=7, PhotometricInterpretation="PALETTE COLOR", **tables,
    )  # fmt: skip
    frames = read_pixels(tmp_path / "one").frames
    np.testing.assert_array_equal(frames[0], table[:, index].transpose(1, 2, 0))


def test_palette_in_segments_is_looked_up(tmp_path: Path) -> None:
    """One discrete segment of four entries (PS3.3 C.7.9.2)."""
    index = (np.arange(24) % 4).astype(np.uint8).reshape(ROWS, COLUMNS)
    table = (np.arange(12).reshape(3, 4) * 20).astype(np.uint8)
    tables = {}
    for colour, values in zip(("Red", "Green", "Blue"), table, strict=True):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        tables[f"Segmented{colour}PaletteColorLookupTableData"] = bytes([0, 4]) + values.tobytes()
    write_picture(
        tmp_path / "one", index, SOPClassUID=UltrasoundImageStorage, Modality="US", BitsAllocated=8, BitsStored=8,
        HighBit=7, PhotometricInterpretation="PALETTE COLOR", **tables,
    )  # fmt: skip
    np.testing.assert_array_equal(read_pixels(tmp_path / "one").frames[0], table[:, index].transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("bits", "is_signed", "low", "high"),
    [
        (8, 0, 0, 255), (12, 0, 0, 4095), (12, 0, 100, 200), (16, 0, 0, 65535), (16, 0, 0, 20000),
        (12, 1, -2048, 2047), (16, 1, -32768, 32767), (16, 1, 0, 500),
    ],
)  # fmt: skip
def test_inverted_greys_of_a_radiograph_are_turned_round(
    tmp_path: Path, bits: int, is_signed: int, low: int, high: int
) -> None:
    """Afterwards the least stored value is the brightest that the bits hold, and the other way round."""
    pixels = spread(low, high, (np.int16 if is_signed else np.uint16))
    write_picture(
        tmp_path / "one", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=bits, HighBit=bits - 1,
        PixelRepresentation=is_signed,
    )  # fmt: skip
    array = read_folder(tmp_path).scan.array[0, :, :, 0].T
    ends = -1 if is_signed else 2**bits - 1  # the sum of the least and the greatest value that the bits hold
    np.testing.assert_array_equal(array.astype(int), ends - pixels.astype(int))


@pytest.mark.parametrize(("slope", "intercept"), [(2, 10), (0.5, -3)])
def test_inverted_greys_are_turned_round_in_rescaled_values(tmp_path: Path, slope: float, intercept: float) -> None:
    pixels = spread(0, 4095, np.uint16)
    write_picture(
        tmp_path / "one", pixels, PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11,
        RescaleSlope=slope, RescaleIntercept=intercept,
    )  # fmt: skip
    array = read_folder(tmp_path).scan.array[0, :, :, 0].T
    np.testing.assert_array_equal(array, (4095 - pixels.astype(int)) * slope + intercept)


def test_plain_greys_of_a_radiograph_stay(tmp_path: Path) -> None:
    pixels = spread(0, 4095, np.uint16)
    write_picture(tmp_path / "one", pixels, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_folder(tmp_path).scan.array[0, :, :, 0].T, pixels)


@pytest.mark.parametrize(
    ("keyword", "note"),
    [
        ("PixelSpacing", ()),
        ("ImagerPixelSpacing", ()),
        ("NominalScannedPixelSpacing", ()),
        ("SliceThickness", ("the pixel spacing is not given: a pixel counts as 1 mm",)),
    ],
)
def test_spacing_of_a_picture_runs_across_and_down(tmp_path: Path, keyword: str, note: tuple[str, ...]) -> None:
    spacing = ["0.2", "0.3"] if keyword != "SliceThickness" else "7"
    write_picture(tmp_path / "one", spread(0, 9, np.uint16), **{keyword: spacing})
    series = read_folder(tmp_path)
    assert series.notes == note
    assert series.scan.geometry.spacing_mm == ((1, 1, 1) if note else (0.3, 0.2, 1))


def test_spacing_of_ultrasound_is_that_of_its_region_in_centimetres(tmp_path: Path) -> None:
    region = Dataset()
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.05, -0.02
    write_picture(
        tmp_path / "one", spread(0, 9, np.uint16), SOPClassUID=UltrasoundImageStorage, Modality="US",
        SequenceOfUltrasoundRegions=[region],
    )  # fmt: skip
    np.testing.assert_allclose(read_folder(tmp_path).scan.geometry.spacing_mm, (0.5, 0.2, 1))


def test_each_file_of_a_radiograph_series_is_a_picture(tmp_path: Path) -> None:
    from tests.dicom_files import found_in

    for number in range(3):
        write_picture(tmp_path / str(number), spread(0, 9 + number, np.uint16), SeriesInstanceUID="1.2")
    found = found_in(tmp_path)
    assert [one.is_picture for one in found] == [True] * 3
    assert [one.part for one in found] == [0, 1, 2]


def test_loop_of_an_ultrasound_is_refused(tmp_path: Path) -> None:
    write_picture(
        tmp_path / "one", np.zeros((3, ROWS, COLUMNS), np.uint16), SOPClassUID=UltrasoundImageStorage, Modality="US",
        NumberOfFrames=3,
    )  # fmt: skip
    with pytest.raises(ScanError, match="a picture must have one frame, got a loop of 3"):
        read_folder(tmp_path)


def test_file_without_pixels_is_refused(tmp_path: Path) -> None:
    dataset = write_picture(tmp_path / "one", spread(0, 9, np.uint16))
    del dataset.PixelData
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match="DICOM pixel data must be there, got none"):
        read_folder(tmp_path)


def test_more_frames_than_the_header_names_are_refused(tmp_path: Path) -> None:
    write_picture(tmp_path / "one", np.zeros((2, ROWS, COLUMNS), np.uint16))
    with pytest.raises(ScanError, match=r"decoded pixels must fill \(1, 4, 6, 1\) frames, rows"):
        read_folder(tmp_path)
