"""The file or series that a scan was read from: writers need it to give a result the same form."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


class NiftiHeader(Protocol):
    """A NIfTI-1 or NIfTI-2 header, as nibabel holds it."""

    def __getitem__(self, name: str, /) -> Any:
        """Value of a field by its name in the standard."""


@dataclass(frozen=True, slots=True)
class NiftiOrigin:
    """A NIfTI-1 or NIfTI-2 file, single or a `.hdr`/`.img` pair.

    Attributes:
        file: The file, or the first of several channels.
        header: Its header without extensions; masks carry over its qform and sform codes and its units.
    """

    file: Path = field(repr=False)
    header: NiftiHeader = field(repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class ItkOrigin:
    """An NRRD or MetaImage file.

    Attributes:
        file: The file, or the first of several channels.
    """

    file: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class PictureOrigin:
    """A PNG, TIFF or JPEG file, which has no place in the patient.

    Attributes:
        file: The file, or the first of several channels.
    """

    file: Path = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceSlice:
    """The DICOM image that one slice was read from, in the terms of a Referenced SOP Sequence item.

    Attributes:
        file: The file.
        sop_class_uid: (0008,1150) Referenced SOP Class UID.
        sop_instance_uid: (0008,1155) Referenced SOP Instance UID.
        frame_number: (0008,1160) Referenced Frame Number, from 1; None for the whole image, as with files of one frame
            and mosaics.
    """

    file: Path = field(repr=False)
    sop_class_uid: str = field(repr=False)
    sop_instance_uid: str = field(repr=False)
    frame_number: int | None = None


@dataclass(frozen=True, slots=True)
class SeriesOrigin:
    """A DICOM series, or the part of one that makes a volume or picture.

    UIDs are those of the source, and "" where its files give none. Details of patient and study stay in the files: a
    writer reads them there.

    Attributes:
        study_uid: (0020,000D) Study Instance UID.
        series_uid: (0020,000E) Series Instance UID.
        frame_of_reference_uid: (0020,0052) Frame of Reference UID of the first slice.
        modality: (0008,0060) Modality.
        slices: Source images by their place along k.
        is_resampled: Whether a repair made new slices; if not, `slices[k]` holds the voxels of slice k, as read.

    Source: PS3.3 C.7.2.1, C.7.3.1 and C.7.4.1 for the UIDs, table 10-3 for references to images and their frames.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    frame_of_reference_uid: str = field(repr=False)
    modality: str
    slices: tuple[SourceSlice, ...] = field(repr=False)
    is_resampled: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """Each file once, in the order of the slices."""
        return tuple(dict.fromkeys(one.file for one in self.slices))


Origin = NiftiOrigin | ItkOrigin | PictureOrigin | SeriesOrigin
