"""What a SEG is known by: its UIDs, and those of its segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.scans.dicom.damage import reading_dicom


@dataclass(frozen=True, slots=True, kw_only=True)
class SegIdentity:
    """The UIDs of a SEG.

    Attributes:
        study_uid: (0020,000D) Study Instance UID.
        series_uid: (0020,000E) Series Instance UID.
        sop_class_uid: (0008,0016) SOP Class UID.
        sop_instance_uid: (0008,0018) SOP Instance UID.
        tracking_uids: (0062,0021) Tracking UID of each segment by its number.
    """

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    tracking_uids: dict[int, str]


def read_seg_identity(path: Path) -> SegIdentity:
    """Read the header of a SEG by pydicom.

    Raises:
        ScanError: If the file is damaged.
    """
    from pydicom.filereader import dcmread

    with reading_dicom("SEG"):
        dataset = dcmread(path, stop_before_pixels=True)
        return SegIdentity(
            study_uid=str(dataset.StudyInstanceUID),
            series_uid=str(dataset.SeriesInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
            tracking_uids={int(one.SegmentNumber): str(one.get("TrackingUID", "")) for one in dataset.SegmentSequence},
        )
