"""How a file codes its values never changes the volume: bits, sign, slope, table, grey scale and compression."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.scans.dicom import read_series
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from tests.dicom_files import assert_same_voxels, found_in, read_folder, save, write_series
from tests.grids import grid

# Encoders of JPEG 2000 want some pixels.
GRID = grid((36, 33, 6), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
SYNTAXES = (
    uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian,
    uid.RLELossless, uid.JPEG2000Lossless, uid.JPEGLSLossless,
)  # fmt: skip


class Coding(NamedTuple):
    """How the values of one slice are stored.

    Attributes:
        allocated: Bits allocated.
        stored: Bits stored.
        is_signed: Whether stored values may be negative.
        slope: Rescale slope, a power of two so that values stay exact, or -1.
        by_table: Whether a Modality LUT leads to the values instead of a slope.
        photometric: Photometric interpretation.
        syntax: Transfer syntax.
    """

    allocated: int
    stored: int
    is_signed: bool
    slope: float
    by_table: bool
    photometric: str
    syntax: uid.UID


@st.composite
def codings(draw: st.DrawFn) -> Coding:
    syntax = draw(st.sampled_from(SYNTAXES))
    allocated = draw(st.sampled_from((8, 16) if syntax.is_compressed else (8, 16, 32)))
    stored = draw(st.integers(8 if allocated == 8 else 9, allocated))
    is_signed = draw(st.booleans())
    return Coding(
        allocated,
        stored,
        is_signed,
        draw(st.sampled_from((1.0, 2.0, 0.5, -1.0))),
        draw(st.booleans()),
        draw(st.sampled_from(("MONOCHROME1", "MONOCHROME2"))),
        syntax,
    )


def code(dataset: Dataset, values: np.ndarray, coding: Coding, path: Path) -> None:
    """Write values 0, 2, … 126 of shape `(rows, columns)` in a legal way."""
    slope = 2.0 if coding.by_table else coding.slope
    steps = np.rint(values / slope).astype(np.int64)
    least = -(1 << min(coding.stored - 1, 15)) if coding.is_signed else 0  # a table cannot begin lower
    shift = int(least - min(steps.min(), 0))
    stored = steps + shift
    kind = np.dtype(f"{'<i' if coding.is_signed else '<u'}{coding.allocated // 8}")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = coding.allocated, coding.stored, coding.stored - 1
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = int(coding.is_signed), coding.photometric
    if coding.by_table:
        del dataset.RescaleSlope, dataset.RescaleIntercept
        dataset.ModalityLUTSequence = DicomSequence([table(2 * np.arange(64), shift)])
    else:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, -float(shift) * slope
    pixels = np.ascontiguousarray(stored.astype(kind))
    if coding.syntax.is_compressed:
        dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OB" if coding.allocated == 8 else "OW"
        save(dataset, path)
        plugin = {uid.JPEGLSLossless: "pyjpegls"}.get(coding.syntax, "")
        dataset.compress(coding.syntax, generate_instance_uid=False, encoding_plugin=plugin)
        dataset.save_as(path, enforce_file_format=True)
        return
    is_big = coding.syntax == uid.ExplicitVRBigEndian
    words = pixels.astype(pixels.dtype.newbyteorder(">")) if is_big else pixels
    dataset.PixelData = words.tobytes() + b"\0" * (words.nbytes % 2)
    dataset["PixelData"].VR = "OB" if coding.allocated == 8 and not coding.syntax.is_implicit_VR else "OW"
    save(dataset, path, transfer_syntax=coding.syntax)


def table(entries: np.ndarray, first: int, *, bits: int = 16) -> Dataset:
    """A Modality LUT whose first entry stands for a stored value."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries), first, bits])
    item.ModalityLUTType = "US"
    item.add_new("LUTData", "US", [int(entry) for entry in entries])
    return item


@pytest.mark.parametrize("is_mixed", [False, True], ids=["one coding", "a coding for each slice"])
@settings(max_examples=25, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_any_coding_gives_the_same_volume(
    tmp_path_factory: pytest.TempPathFactory, is_mixed: bool, data: st.DataObject, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("coding")
    array = 2 * np.random.default_rng(seed).integers(0, 64, GRID.shape).astype(np.int16)
    count = GRID.shape[2]
    drawn = data.draw(st.lists(codings(), min_size=count, max_size=count) if is_mixed else codings())
    plans = drawn if isinstance(drawn, list) else [drawn] * count
    for k, dataset in enumerate(write_series(array, GRID, folder)):
        code(dataset, array[:, :, k].T, plans[k], folder / f"{k:05d}")
    assert_same_voxels(read_folder(folder), array, GRID)


def test_slices_that_differ_in_bits_are_one_volume(tmp_path: Path) -> None:
    array = np.broadcast_to(10 * np.arange(6, dtype=np.int16), GRID.shape).copy()
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        dataset.BitsStored, dataset.HighBit = (12, 11) if k < 3 else (16, 15)
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_folder(tmp_path), array, GRID)


def test_slices_that_differ_in_sign_are_one_volume(tmp_path: Path) -> None:
    array = np.broadcast_to(10 * np.arange(6, dtype=np.int16), GRID.shape).copy()
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        if k % 2:
            dataset.PixelData = (array[:, :, k].T + 1024).astype("<u2").tobytes()
            dataset.PixelRepresentation, dataset.RescaleIntercept = 0, -1024
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_folder(tmp_path), array, GRID)


def test_inverted_slices_in_a_volume_keep_their_values_and_are_noted(tmp_path: Path) -> None:
    """Values of a CT mean the same however they are shown."""
    array = np.random.default_rng(0).integers(0, 99, GRID.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        dataset.PhotometricInterpretation = "MONOCHROME1" if k == 2 else "MONOCHROME2"
        save(dataset, tmp_path / f"{k:05d}")
    (found,) = found_in(tmp_path)
    assert found.notes == ("some of its slices are shown inverted (MONOCHROME1); their values were taken as they are",)
    assert_same_voxels(read_series(found), array, GRID)


@pytest.mark.parametrize("is_signed", [False, True])
def test_values_below_a_raised_high_bit_are_moved_down(tmp_path: Path, is_signed: bool) -> None:
    """Old editions of PS3.5 let a value of 12 bits lie in the upper bits of a word; bits above it may hold overlays."""
    array = np.random.default_rng(0).integers(-2000 if is_signed else 0, 2000, GRID.shape).astype(np.int16)
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        lift = 4 if k % 2 else 2
        raised = (array[:, :, k].T.astype(np.int64) & 0xFFF) << lift
        overlay = np.where(np.arange(36) % 5 == 0, 0x4000, 0)[np.newaxis] if lift == 2 else 0
        dataset.PixelData = (raised | overlay).astype("<u2").tobytes()
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11 + lift, int(is_signed)
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_folder(tmp_path), array, GRID)


def test_high_bit_that_values_do_not_reach_is_not_believed(tmp_path: Path) -> None:
    """Some writers name the highest bit of the word; slices that could be raised ones are read as the others are."""
    array = np.random.default_rng(0).integers(0, 200, GRID.shape).astype(np.int16)
    array[:, :, 2] = 64
    for k, dataset in enumerate(write_series(array.astype(np.uint16), GRID, tmp_path)):
        dataset.BitsStored, dataset.HighBit = 12, 15
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_folder(tmp_path), array, GRID)


@pytest.mark.parametrize("high_bit", [3, 11])
def test_high_bit_below_the_bits_stored_says_nothing(tmp_path: Path, high_bit: int) -> None:
    """Some exports set it by the greatest value of the slice."""
    array = np.random.default_rng(0).integers(0, 5000, GRID.shape).astype(np.uint16)
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        dataset.HighBit = high_bit if k % 2 else 15
        save(dataset, tmp_path / f"{k:05d}")
    assert_same_voxels(read_folder(tmp_path), array, GRID)


@pytest.mark.parametrize("changed", [{"samples": 3}, {"rows": 20}])
def test_gap_that_other_slices_of_the_series_fill_is_never_interpolated(
    tmp_path: Path, changed: dict[str, int]
) -> None:
    array = np.random.default_rng(0).integers(0, 99, GRID.shape).astype(np.uint16)
    for k, dataset in enumerate(write_series(array, GRID, tmp_path)):
        if k in (2, 3):
            rows, samples = changed.get("rows", dataset.Rows), changed.get("samples", 1)
            dataset.Rows, dataset.SamplesPerPixel = rows, samples
            dataset.PixelData = np.zeros((rows, dataset.Columns, samples), "<u2").tobytes()
            if samples == 3:
                dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
            save(dataset, tmp_path / f"{k:05d}")
    found = max(found_in(tmp_path), key=lambda one: len(one.instances))
    assert [problem.kind for problem in found.problems] == ["held_elsewhere"]
    with pytest.raises(ScanError, match=r"slices of one volume must have one form, got 2.* export the series with one"):
        read_series(found, repair=frozenset({"gaps"}))


def test_slice_that_one_time_point_lacks_is_interpolated_between_its_own(tmp_path: Path) -> None:
    array = 2 * np.random.default_rng(0).integers(0, 99, GRID.shape).astype(np.int16)
    for time in (1, 2):
        write_series(array, GRID, tmp_path / str(time), series_uid="1.2.3", TemporalPositionIdentifier=time)
    (tmp_path / "2" / "00003").unlink()
    whole, gapped = found_in(tmp_path)
    assert whole.problems == ()
    assert [problem.kind for problem in gapped.problems] == ["missing_slices"]
    scan = read_series(gapped, repair=frozenset({"gaps"})).scan
    np.testing.assert_array_equal(scan.array[0, :, :, 3], (array[:, :, 2] + array[:, :, 4]) // 2)
