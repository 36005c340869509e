"""The header of one DICOM file, read once and without its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.errors import ScanError
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.diffusion import PRIVATE_TAGS as DIFFUSION_TAGS
from medseg.scans.dicom.elements import number, text
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.functional_groups import frames_of
from medseg.scans.dicom.identity import Identity
from medseg.scans.dicom.mosaic import PRIVATE_TAGS as MOSAIC_TAGS

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset
    from pydicom.tag import BaseTag

# (0002,0010) file meta comes along by itself. Names as in PS3.6.
_TAGS = (
    "SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "SeriesDate", "SeriesTime",
    "AcquisitionDate", "AcquisitionTime", "ContentDate", "ContentTime", "AcquisitionDateTime", "Modality",
    "Manufacturer", "ManufacturerModelName", "SeriesDescription", "BodyPartExamined", "ConversionType",
    "BurnedInAnnotation", "RecognizableVisualFeatures", "SliceThickness", "SpacingBetweenSlices", "ImagerPixelSpacing",
    "NominalScannedPixelSpacing", "PixelSpacing", "EchoTime", "InversionTime", "FlipAngle", "TriggerTime",
    "DiffusionBValue", "DiffusionGradientOrientation", "FrameReferenceTime", "StudyInstanceUID", "SeriesInstanceUID",
    "AcquisitionNumber", "ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID",
    "TemporalPositionIdentifier", "InstanceNumber", "ImagesInAcquisition", "EchoNumbers", "DetectorInformationSequence",
    "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "RescaleSlope", "RescaleIntercept", "Units",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
    "SequenceOfUltrasoundRegions", "SeriesNumber",
)  # fmt: skip
_LONGEST_SIDE = 65535
_YOUNG_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.7": "Label Map Segmentation Storage"}  # unknown to pydicom 3.0


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file.

    Attributes:
        path: The file.
        sop_class: Name of the SOP class in PS3.4, or "" where the file gives none.
        sop_class_uid: (0008,0016).
        sop_uid: (0008,0018).
        series_uid: (0020,000E).
        study_uid: (0020,000D).
        frame_of_reference_uid: (0020,0052).
        modality: (0008,0060).
        image_type: (0008,0008).
        series_time: Date and time of the content, by which the latest of several label objects is found.
        study_date: (0008,0020), `YYYYMMDD`.
        description: (0008,103E); free text.
        scanner: Manufacturer and model.
        rows: Height of a frame.
        columns: Width of a frame.
        samples: Values per pixel.
        photometric: (0028,0004).
        pixel_format: Bits allocated, bits stored, and 1 for signed values.
        high_bit: (0028,0102), from 0; one less than the bits stored in all but old files.
        has_pixels: Whether rows and columns are given.
        units: (0054,1001), given for PET.
        images_in_acquisition: (0020,1002), or 0.
        is_burned_in: Whether text may be burned into the pixels, according to the file.
        body_part: (0018,0015).
        has_recognisable_features: (0028,0302).
        identity: Values that identify the patient.
        frames: Frames, one per image plane.
        series_number: (0020,0011), or "".
    """

    path: Path
    sop_class: str
    sop_class_uid: str
    sop_uid: str
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    modality: str
    image_type: tuple[str, ...]
    series_time: str
    study_date: str
    description: str
    scanner: str
    rows: int
    columns: int
    samples: int
    photometric: str
    pixel_format: tuple[int, int, int]
    high_bit: int
    has_pixels: bool
    units: str
    images_in_acquisition: int
    is_burned_in: bool
    body_part: str
    has_recognisable_features: bool
    identity: Identity
    frames: tuple[Frame, ...]
    series_number: str = ""

    @property
    def channels(self) -> int:
        """Values per pixel once a palette is looked up."""
        return 3 if self.photometric == "PALETTE COLOR" else max(self.samples, 1)


def read_instance(path: Path) -> Instance | None:
    """Read the header of one file.

    Returns:
        None if the file is not DICOM, or is a DICOMDIR.

    Raises:
        ScanError: If it is DICOM but cannot be read. The message names no file: a file name may name a patient.
    """
    if not is_dicom(path):
        return None
    from pydicom.filereader import dcmread

    with reading_dicom("header"), path.open("rb") as stream:
        header = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=_wanted_tags())
        if not header and header.preamble:
            raise ScanError("a DICOM file must hold a data set, got none", remedy="copy or export it again")
        if not header or text(header, "SOPClassUID") == "1.2.840.10008.1.3.10":
            return None
        return _to_instance(path, header)


@cache
def _wanted_tags() -> list[BaseTag]:
    from pydicom.tag import Tag

    return [Tag(tag) for tag in (*_TAGS, *Identity.TAGS)] + [Tag(tag) for tag in (*DIFFUSION_TAGS, *MOSAIC_TAGS)]


def is_dicom(path: Path) -> bool:
    """Whether the first bytes are a DICOM file's: the prefix of PS3.10 section 7.1, or a data set without it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(140)
    except OSError as error:
        raise ScanError(f"a file must be readable, got: {error.strerror}", remedy="fix its permissions") from error
    if start[128:132] == b"DICM":
        return True
    # Without a preamble a data set opens with group 0002 or 0008 and a short first value; in big endian with its type.
    if len(start) < 8:
        return False
    if start[:2] in (b"\2\0", b"\x08\0") and int.from_bytes(start[2:4], "little") <= 0x0100:
        return start[4:6].isalpha() or int.from_bytes(start[4:8], "little") < 256
    return start[:2] == b"\0\x08" and int.from_bytes(start[2:4], "big") <= 0x0100 and start[4:6].isalpha()


def _to_instance(path: Path, header: FileDataset) -> Instance:
    rows, columns = int(number(header, "Rows", 0)), int(number(header, "Columns", 0))
    if not (0 <= rows <= _LONGEST_SIDE and 0 <= columns <= _LONGEST_SIDE):
        raise ScanError(
            f"rows and columns must be at most {_LONGEST_SIDE}, got {rows} and {columns}", remedy="export it again"
        )
    has_pixels = rows > 0 and columns > 0
    _check_frames(path, header)
    return Instance(
        path=path,
        sop_class=_class_name(header),
        sop_class_uid=str(_class_uid(header)),
        sop_uid=text(header, "SOPInstanceUID") or str(header.file_meta.get("MediaStorageSOPInstanceUID") or ""),
        series_uid=text(header, "SeriesInstanceUID"),
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
        modality=text(header, "Modality").upper(),
        image_type=tuple(str(value).upper() for value in _values(header, "ImageType")),
        series_time=(text(header, "ContentDate") or text(header, "SeriesDate"))
        + (text(header, "ContentTime") or text(header, "SeriesTime")),
        study_date=text(header, "StudyDate"),
        description=text(header, "SeriesDescription"),
        scanner=" ".join(filter(None, (text(header, "Manufacturer"), text(header, "ManufacturerModelName")))),
        rows=rows,
        columns=columns,
        samples=int(number(header, "SamplesPerPixel", 1)),
        photometric=text(header, "PhotometricInterpretation").upper(),
        pixel_format=(
            int(number(header, "BitsAllocated", 0)),
            int(number(header, "BitsStored", 0)),
            int(number(header, "PixelRepresentation", 0)),
        ),
        high_bit=int(number(header, "HighBit", number(header, "BitsStored", 1) - 1)),
        has_pixels=has_pixels,
        units=text(header, "Units").upper(),
        images_in_acquisition=int(number(header, "ImagesInAcquisition", 0)),
        is_burned_in=_is_burned_in(header),
        body_part=text(header, "BodyPartExamined"),
        has_recognisable_features=text(header, "RecognizableVisualFeatures").upper() == "YES",
        identity=Identity.of(header),
        frames=frames_of(path, header) if has_pixels else (),
        series_number=text(header, "SeriesNumber"),
    )


def _check_frames(path: Path, header: FileDataset) -> None:
    """Refuse more frames than the file has room for, before each gets an object; a single frame is checked later."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    count, bits = number(header, "NumberOfFrames", 1), 8.0
    native = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    if header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian) in native:
        bits = number(header, "Rows", 0) * number(header, "Columns", 0) * number(header, "BitsAllocated", 1)
    size = path.stat().st_size
    if count > 1 and count * bits > 8 * size:
        raise ScanError(f"a file must have room for its {count:.0f} frames, got {size} bytes", remedy="export it again")


def _class_name(header: FileDataset) -> str:
    """Name of the SOP class, or "" if it is unknown: a damaged one may hold anything."""
    uid = _class_uid(header)
    name = str(getattr(uid, "name", ""))
    return _YOUNG_CLASSES.get(str(uid), "" if name == str(uid) else name)


def _class_uid(header: FileDataset) -> object:
    return header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or ""


def _is_burned_in(header: FileDataset) -> bool:
    """Value of (0028,0301); without it, screenshots and ultrasound count as burned in."""
    value = text(header, "BurnedInAnnotation").upper()
    if value in ("YES", "NO"):
        return value == "YES"
    return text(header, "Modality").upper() == "US" or text(header, "ConversionType") != ""


def _values(header: FileDataset, keyword: str) -> tuple[object, ...]:
    value = header.get(keyword)
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
