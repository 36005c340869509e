"""The origin of a volume or picture that was read from a series."""

from __future__ import annotations

from medseg.origin import SeriesOrigin, SourceSlice
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.instance import Instance
from medseg.scans.dicom.series import FoundSeries


def series_origin(found: FoundSeries) -> SeriesOrigin:
    """Origin of a readable series: its UIDs, and its images by their place along k."""
    owner = {instance.path: instance for instance in found.instances}
    return SeriesOrigin(
        study_uid=found.first.study_uid,
        series_uid=found.first.series_uid,
        frame_of_reference_uid=found.first.frame_of_reference_uid,
        modality=found.first.modality,
        slices=tuple(_source_slice(frame, owner[frame.path]) for frame in found.frames),
        is_resampled=bool(found.problems),
    )


def _source_slice(frame: Frame, instance: Instance) -> SourceSlice:
    is_numbered = len(instance.frames) > 1 and frame.tiles_per_side == 1
    return SourceSlice(
        file=frame.path,
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_uid,
        frame_number=frame.index + 1 if is_numbered else None,
    )
