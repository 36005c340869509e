"""Runs of equal bytes, decoded by a library that knows nothing of how they were made."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.scans.dicom.rle import compress_by_runs
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless


def image(frames: np.ndarray) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = frames.tobytes() + b"\0" * (frames.size % 2)
    return dataset


def decoded(dataset: Dataset) -> np.ndarray:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    read = dcmread(BytesIO(stream.getvalue()))
    assert read.file_meta.TransferSyntaxUID == RLELossless
    return read.pixel_array.reshape(int(read.NumberOfFrames), read.Rows, read.Columns)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 300)),
    values=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_every_frame_is_decoded_as_it_was(shape: tuple[int, int, int], values: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    runs = np.repeat(rng.integers(0, values, shape, np.uint8), rng.integers(1, 200), axis=2)[:, :, : shape[2]]
    dataset = image(np.ascontiguousarray(runs))
    compress_by_runs(dataset)
    np.testing.assert_array_equal(decoded(dataset), runs)


def test_an_empty_slice_of_512_by_512_takes_eight_bytes_a_row() -> None:
    dataset = image(np.zeros((1, 512, 512), np.uint8))
    compress_by_runs(dataset)
    assert 64 + 512 * 8 <= len(dataset.PixelData) < 64 + 512 * 8 + 64
