"""Lossless compression of masks by runs of equal bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medseg.records import Array

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_LONGEST_RUN = 128
_HEADER = np.array([1, 64, *[0] * 14], "<u4").tobytes()  # one segment, which follows the header


def compress_by_runs(dataset: Dataset) -> None:
    """Compress the frames of an image of 8 bits by RLE Lossless.

    Encoders of other libraries are not used: GDCM's ends the process on frames of an odd number of pixels, and that of
    pydicom takes several times as long on masks.

    Args:
        dataset: Image with uncompressed frames of one byte per pixel; changed in place.

    Source: PS3.5 annex G and A.4.2.
    """
    from pydicom.encaps import encapsulate
    from pydicom.uid import RLELossless

    frames = np.frombuffer(dataset.PixelData, np.uint8)[: dataset.NumberOfFrames * dataset.Rows * dataset.Columns]
    coded = [_frame(frame) for frame in frames.reshape(-1, dataset.Rows, dataset.Columns)]
    dataset.PixelData = encapsulate(coded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = RLELossless


def _frame(frame: Array) -> bytes:
    """Header and runs of a frame of shape `(rows, columns)`; no run goes on in the next row."""
    changes = np.ones(frame.shape, bool)
    changes[:, 1:] = frame[:, 1:] != frame[:, :-1]
    starts = np.flatnonzero(changes)
    lengths = np.diff(starts, append=frame.size)
    parts = -(-lengths // _LONGEST_RUN)
    sizes = np.full(parts.sum(), _LONGEST_RUN)
    sizes[np.cumsum(parts) - 1] = lengths - _LONGEST_RUN * (parts - 1)
    runs = np.empty((len(sizes), 2), np.uint8)
    runs[:, 0] = np.where(sizes == 1, 0, 257 - sizes)  # a single byte is a literal of length 1
    runs[:, 1] = np.repeat(frame.ravel()[starts], parts)
    return _HEADER + runs.tobytes()  # of even length, since a run takes two bytes
