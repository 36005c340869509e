"""Modality LUT: a table from stored to meaningful values that an image holds in place of slope and intercept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from medseg.errors import ScanError
from medseg.records import Array
from medseg.scans.dicom.elements import first_item, number, numbers, text

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# X-ray angiography, on one plane and on two, and radiofluoroscopy.
_X_RAY_CLASSES = ("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2", "1.2.840.10008.5.1.4.1.1.12.3")
_ENTRIES = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class ModalityLut:
    """A table from stored to meaningful values.

    Attributes:
        first: Stored value that the first entry stands for.
        entries: Meaningful values, unsigned.
        bits: Bits that an entry may use.
    """

    first: int
    entries: npt.NDArray[np.unsignedinteger]
    bits: int

    def values(self, stored: Array) -> Array:
        """Entries of stored values; those below the first and above the last entry get the nearest one."""
        places = np.clip(stored.astype(np.int64) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[places])


def modality_lut(dataset: Dataset) -> ModalityLut | None:
    """The Modality LUT that applies to the pixels of a data set; None without one.

    The table of an angiogram leads back from stored values to the intensity of the beam and is not meant to be applied.

    Raises:
        ScanError: If the table is empty.

    Source: PS3.3 C.11.1; C.8.7.1.1.2 for X-ray angiography.
    """
    item = first_item(dataset, "ModalityLUTSequence")
    if item is None or leads_back_to_beam(dataset) or int(number(dataset, "SamplesPerPixel", 1)) != 1:
        return None
    count, first, bits = (int(value) for value in (*numbers(item, "LUTDescriptor"), 0, 0, 16)[:3])
    entries = _entries(item, count % _ENTRIES or _ENTRIES, is_little=_is_little_endian(dataset))
    if not len(entries):
        raise ScanError("a Modality LUT must hold entries, got none", remedy="export it again")
    first %= _ENTRIES  # its type may be that of the other sign
    if first >= _ENTRIES // 2 and number(dataset, "PixelRepresentation", 0) == 1:
        first -= _ENTRIES
    return ModalityLut(first, entries, bits if 0 < bits <= 16 else 16)


def leads_back_to_beam(dataset: Dataset) -> bool:
    """Whether the table of an angiogram or a fluoroscopy leads to the intensity of the beam, and not to the image."""
    if first_item(dataset, "ModalityLUTSequence") is None:
        return False
    relation = text(dataset, "PixelIntensityRelationship").upper()
    if text(dataset, "SOPClassUID") in _X_RAY_CLASSES:
        return relation != "LIN"
    return text(dataset, "Modality").upper() in ("XA", "RF") and relation in ("LOG", "DISP")


def _entries(item: Dataset, count: int, *, is_little: bool) -> npt.NDArray[np.unsignedinteger]:
    """Entries of the table, whose type may be bytes, words or a list of numbers."""
    data = item.get("LUTData")
    if isinstance(data, bytes):
        is_byte_each = len(data) < 2 * count
        kind = np.dtype(np.uint8) if is_byte_each else np.dtype("<u2" if is_little else ">u2")
        return np.frombuffer(data[: count * kind.itemsize], kind).astype(np.uint16)
    listed = np.array([int(value) for value in numbers(item, "LUTData")][:count], np.int64)
    return np.asarray(listed % _ENTRIES).astype(np.uint16)


def _is_little_endian(dataset: Dataset) -> bool:
    from pydicom.uid import ExplicitVRBigEndian

    meta = getattr(dataset, "file_meta", None)
    return meta is None or meta.get("TransferSyntaxUID") != ExplicitVRBigEndian
