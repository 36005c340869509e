"""Stored pixel values of a file, decoded by pydicom and its plug-ins, whatever the transfer syntax."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from medseg.errors import ScanError
from medseg.records import Array
from medseg.scans.dicom.codestream import check_frame
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.modality_lut import ModalityLut, leads_back_to_beam, modality_lut

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

# PS3.3 C.7.6.3: the pixels and their description.
_PIXEL_TAGS = (
    "SOPClassUID", "Modality", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData", "FloatPixelData",
    "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelIntensityRelationship",
    "ModalityLUTSequence",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip
_STORES = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_ITEM_STARTS = (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
_BEAM_NOTE = "its Modality LUT leads back to the intensity of the X-ray beam and was not applied"
_BEST_COMPRESSION = 100_000  # a blank frame: more values per coded byte are a damaged header


class StoredPixels(NamedTuple):
    """Pixels of a file.

    Attributes:
        frames: Stored values before any rescaling, shape `(F, rows, columns, samples)`; colours are RGB.
        bits: Bits stored per value.
        sha256: Checksum of the whole file.
        lut: Table that leads to the meaningful values; None where slope and intercept do.
        notes: Clauses about the coding that a person should know.
    """

    frames: Array
    bits: int
    sha256: str
    lut: ModalityLut | None = None
    notes: tuple[str, ...] = ()


def read_pixels(path: Path, *, is_raised: bool = False) -> StoredPixels:
    """Decode every frame of a file.

    Args:
        path: DICOM file.
        is_raised: Whether values lie below a High Bit that is higher than the bits stored need.

    Raises:
        ScanError: If the pixels are missing, damaged, do not fill the frames that the header promises, or are coded in
            a way that no library here decodes.
    """
    from pydicom.filereader import dcmread

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ScanError(f"a file must be readable, got: {error.strerror}", remedy="fix its permissions") from error
    with reading_dicom("pixel data"):
        dataset = dcmread(BytesIO(content), force=True, specific_tags=list(_PIXEL_TAGS))
        frames = decode(dataset, is_raised=is_raised)
        lut = modality_lut(dataset)
        notes = (_BEAM_NOTE,) if leads_back_to_beam(dataset) else ()
    bits = int(number(dataset, "BitsStored", 16))
    return StoredPixels(frames, bits, hashlib.sha256(content).hexdigest(), lut, notes)


def are_raised(paths: Iterable[Path]) -> bool:
    """Whether files whose High Bit is higher than their bits stored need keep their values below it.

    Old editions of the standard allow that; decoders of compressed pixels undo it, and some headers name a High Bit
    that their values do not reach. So the header is believed only where the bits below are empty in all files.
    """
    return all(_has_empty_bits(path) for path in paths)


def _has_empty_bits(path: Path) -> bool:
    from pydicom.filereader import dcmread

    with reading_dicom("pixel data"):
        dataset = dcmread(path, force=True, specific_tags=list(_PIXEL_TAGS))
        complete_meta(dataset)
        check_promise(dataset)
        check_frames(dataset)
        values = _array(dataset, is_raised=True)
    bits = number(dataset, "BitsStored", 0)
    below = bits_below(bits, number(dataset, "HighBit", 0))
    if values.dtype.kind not in "iu" or below + bits > values.dtype.itemsize * 8:
        return False
    return not bool((values & ((1 << below) - 1)).any())


def _array(dataset: FileDataset, *, is_raised: bool) -> Array:
    """Decoded values, with all their bits where the lowest are not the stored ones."""
    if is_raised:
        dataset.pixel_array_options(correct_unused_bits=False)
    return np.asarray(dataset.pixel_array)


def bits_below(bits_stored: float, high_bit: float) -> int:
    """Bits that lie below a stored value."""
    return max(int(high_bit) + 1 - int(bits_stored), 0) if bits_stored else 0


def decode(dataset: FileDataset, *, is_raised: bool = False) -> Array:
    """The frames of a data set, shape `(F, rows, columns, samples)`."""
    from pydicom.pixels.processing import apply_color_lut

    complete_meta(dataset)
    check_promise(dataset)
    check_frames(dataset)
    samples = int(number(dataset, "SamplesPerPixel", 1))
    values = _used_bits(_array(dataset, is_raised=is_raised), dataset, is_raised=is_raised)
    if text(dataset, "PhotometricInterpretation").upper() == "PALETTE COLOR":
        values, samples = apply_color_lut(values, dataset), 3
    shape = (
        int(number(dataset, "NumberOfFrames", 1)),
        int(number(dataset, "Rows", 0)),
        int(number(dataset, "Columns", 0)),
        samples,
    )
    if values.size != int(np.prod(shape)):
        raise ScanError(
            f"decoded pixels must fill {shape} frames, rows, columns and samples, got {values.shape}",
            remedy="export it again",
        )
    return values.reshape(shape)


def complete_meta(dataset: FileDataset) -> None:
    """Give files without a preamble, which name no transfer syntax, the one that they were read with."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if not dataset.file_meta.get("TransferSyntaxUID"):
        is_implicit, is_little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if is_implicit else explicit


def check_promise(dataset: FileDataset) -> None:
    """Refuse a header that promises more pixels than the file holds, before memory is allocated for them."""
    syntax = dataset.file_meta.TransferSyntaxUID
    held = next((dataset[tag].value for tag in _STORES if tag in dataset), None)
    if not held:
        raise ScanError("DICOM pixel data must be there, got none", remedy="export it again")
    if not syntax.is_compressed and bytes(held[:4]) in _ITEM_STARTS:
        raise ScanError("compressed pixel data must come with its transfer syntax, got none", remedy="export it again")
    frames = int(number(dataset, "NumberOfFrames", 1))
    pixels = int(number(dataset, "Rows", 0)) * int(number(dataset, "Columns", 0))
    values = frames * pixels * int(number(dataset, "SamplesPerPixel", 1))
    if text(dataset, "PhotometricInterpretation").upper() == "YBR_FULL_422":
        values = values * 2 // 3
    if not syntax.is_compressed and values * int(number(dataset, "BitsAllocated", 16)) > 8 * len(held):
        raise ScanError(f"DICOM pixel data must hold {values} values, got {len(held)} bytes", remedy="export it again")
    if syntax.is_compressed and values > _BEST_COMPRESSION * len(held):
        raise ScanError(
            f"DICOM pixel data must hold {values} values, got {len(held)} coded bytes", remedy="export it again"
        )


def check_frames(dataset: FileDataset) -> None:
    """Refuse coded frames that contradict the header."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed or syntax == RLELossless:
        return
    for code in generate_frames(dataset.PixelData, number_of_frames=int(number(dataset, "NumberOfFrames", 1))):
        check_frame(
            code,
            rows=int(number(dataset, "Rows", 0)),
            columns=int(number(dataset, "Columns", 0)),
            samples=int(number(dataset, "SamplesPerPixel", 1)),
            bits_allocated=int(number(dataset, "BitsAllocated", 16)),
        )


def _used_bits(values: Array, dataset: FileDataset, *, is_raised: bool) -> Array:
    """Values without the bits around their stored ones, where old files keep overlays (PS3.5 8.1.1)."""
    bits = int(number(dataset, "BitsStored", 0))
    below = bits_below(bits, number(dataset, "HighBit", bits - 1))
    allocated = values.dtype.itemsize * 8
    if values.dtype.kind not in "iu" or not 0 < bits < allocated or (below and not is_raised):
        return values
    values = values >> below
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if values.dtype.kind == "i" else (0, (1 << bits) - 1)
    if int(values.min(initial=0)) >= low and int(values.max(initial=0)) <= high:
        return values
    spare = allocated - bits
    return (values << spare) >> spare
