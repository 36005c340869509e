"""The record of a DICOM series, and the series that a record means."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from medseg.errors import ScanError
from medseg.inference.source_record import SeriesRecord
from medseg.scans.dicom import FoundSeries, Instance, SeriesRules, find_series, quiet_dicom, read_instance


def series_record(found: FoundSeries) -> SeriesRecord:
    """The record of a series."""
    first = found.first
    return SeriesRecord(
        modality=first.modality,
        sop_class=first.sop_class,
        instances=len(found.instances),
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        part=found.part,
        frame_of_reference_uid=first.frame_of_reference_uid,
        series_number=first.series_number,
        description=first.description,
        instances_sha256=_instances_digest(found.instances),
        folders=tuple(dict.fromkeys(str(one.path.parent) for one in found.instances)),
    )


def find_source_series(record: SeriesRecord) -> FoundSeries:
    """The series that a result was made from, found again with its instances in order.

    Args:
        record: Record of the series, with its folders; relative ones are relative to the working folder.

    Raises:
        ScanError: If the folders do not hold the same instances any more.
    """
    files = [path for folder in record.folders for path in sorted(Path(folder).glob("*")) if path.is_file()]
    with quiet_dicom():
        read = (one for path in files if (one := _header(path)) is not None)
        found = find_series([one for one in read if one.series_uid == record.series_uid], SeriesRules())
    same = [one for one in found if _instances_digest(one.instances) == record.instances_sha256]
    fitting = [one for one in same if one.part == record.part] or same[:1]
    if not fitting:
        raise ScanError(
            f"the series must be that of the prediction, with its {record.instances} instances, got {len(files)} other "
            "file(s)"
            if files
            else "the series must be where it was predicted from, got no file",
            remedy="put its files back where they were, or predict again",
        )
    return fitting[0]


def _header(path: Path) -> Instance | None:
    try:
        return read_instance(path)
    except ScanError:
        return None


def _instances_digest(instances: Iterable[Instance]) -> str:
    lines = "".join(f"{uid}\n" for uid in sorted(one.sop_uid for one in instances))
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
