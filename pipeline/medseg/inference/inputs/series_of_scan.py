"""The DICOM series that a file was made of, known by its voxels, so that a result can refer to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medseg.errors import DeliveryError, PipelineError
from medseg.geometry import Geometry
from medseg.records import Scan
from medseg.scans.dicom import FoundSeries, SeriesRules, find_series, read_instance, read_series, silence_dicom


def series_below(folders: Sequence[Path]) -> tuple[FoundSeries, ...]:
    """All volumes of DICOM series below some folders; files that cannot be read are passed over.

    Args:
        folders: Folders to search, at any depth.
    """
    silence_dicom()
    paths = sorted({path for folder in folders for path in folder.rglob("*") if path.is_file()})
    instances = []
    for path in paths:
        try:
            instance = read_instance(path)
        except PipelineError:
            continue
        if instance is not None:
            instances.append(instance)
    return tuple(one for one in find_series(instances, SeriesRules(min_slices=1)) if one.planes and not one.problems)


def series_of_scan(scan: Scan, series: Sequence[FoundSeries], *, case_id: str) -> Scan:
    """The scan as its DICOM series holds it, which its voxels tell: each of them lies at its place with its value.

    Ids and names count for nothing, since `medseg ingest` replaces them.

    Args:
        scan: Scan that was read from another file.
        series: Series among which it is looked for.
        case_id: Id of the case, for errors.

    Raises:
        DeliveryError: If no series holds the voxels of a channel, or several do.
        ScanError: If a series on the same grid cannot be read.
    """
    found = [one for one in map(_read, (one for one in series if _may_be(one, scan.geometry))) if _is_same(one, scan)]
    if len(found) != 1:
        raise DeliveryError(
            f"a DICOM result must be of the series that the scan was made of, got {len(found)} with its voxels",
            remedy="give the folder of that DICOM series alone as the source",
            case_id=case_id,
        )
    return found[0]


def _may_be(series: FoundSeries, grid: Geometry) -> bool:
    return series.planes is not None and series.planes.geometry().is_close(grid)


def _read(series: FoundSeries) -> Scan:
    return read_series(series).scan


def _is_same(own: Scan, scan: Scan) -> bool:
    """Whether a channel of a scan holds the voxels of a series."""
    values = own.array[0].astype(np.float32)
    return any(np.array_equal(values, channel.astype(np.float32)) for channel in scan.array)
