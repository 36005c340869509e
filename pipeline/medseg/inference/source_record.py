"""Where a result comes from: the files or DICOM series of a case, in terms by which they are found again."""

from __future__ import annotations

from typing import Literal, Self

from medseg.configuration import Config
from medseg.text import Text


class SeriesRecord(Config):
    """One DICOM series that a case was read from, or the part of one that makes a volume.

    Values that identify a patient or the series are "" in results under pseudonyms; the private table keeps them.

    Attributes:
        modality: (0008,0060) Modality.
        sop_class: Name of the SOP class in PS3.4.
        instances: Number of files.
        study_uid: (0020,000D) Study Instance UID.
        series_uid: (0020,000E) Series Instance UID.
        part: Number among the volumes of the series, from 0.
        frame_of_reference_uid: (0020,0052) Frame of Reference UID.
        series_number: (0020,0011) Series Number.
        description: (0008,103E) Series Description.
        instances_sha256: SHA-256 over the sorted SOP Instance UIDs, as lines.
        folders: Folders of the files, as they were given or below a folder that was.
    """

    modality: Text
    sop_class: Text
    instances: int
    study_uid: Text = ""
    series_uid: Text = ""
    part: int = 0
    frame_of_reference_uid: Text = ""
    series_number: Text = ""
    description: Text = ""
    instances_sha256: str = ""
    folders: tuple[str, ...] = ()

    def without_identity(self) -> Self:
        """The same without anything that leads to the patient or the series."""
        return type(self)(modality=self.modality, sop_class=self.sop_class, instances=self.instances)


class SourceRecord(Config):
    """What a case was read from.

    Attributes:
        kind: `files` for NIfTI, NRRD, MetaImage and pictures, `dicom` for series.
        files: Channel files, as they were given or below a folder that was; of a manifest, as it lists them. Empty
            for DICOM and under pseudonyms.
        series: Series of the channels, or the one that holds all; empty for files.
        sha256: SHA-256 of the bytes as `input_digest` gives it; None until it is computed.
    """

    kind: Literal["files", "dicom"]
    files: tuple[str, ...] = ()
    series: tuple[SeriesRecord, ...] = ()
    sha256: str | None = None

    def without_identity(self) -> Self:
        """The same without paths, UIDs and free text."""
        series = tuple(one.without_identity() for one in self.series)
        return self.model_copy(update={"files": (), "series": series})
