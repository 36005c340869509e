"""Volume, diameters, place and intensity of every structure of a mask."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import find_objects

from medseg.delivery.measurements.diameters import diameters
from medseg.errors import DeliveryError
from medseg.geometry import Triple
from medseg.origin import SeriesOrigin
from medseg.records import Array, Labelmap, Scan
from medseg.scans.segment import Segment
from medseg.scans.structure_measurements import Intensity, StructureMeasurements

Box = tuple[slice, slice, slice]
_CHUNK = 1 << 20  # voxels whose deviations are held at once
_LARGEST_VALUE = 1 << 16  # of a map whose structures are found in one pass


def measure_structures(labels: Labelmap, segments: Sequence[Segment], scan: Scan) -> tuple[StructureMeasurements, ...]:
    """Measure every structure of a mask.

    Args:
        labels: Values on the grid of the scan, shape `(I, J, K)`.
        segments: Structures that the values show; their voxels may overlap.
        scan: Scan that the mask was drawn on, whose intensities are those of its array.

    Returns:
        Measurements in the order of the segments, empty structures among them.

    Raises:
        DeliveryError: If the mask is on another grid.
    """
    if labels.shape != scan.geometry.shape:
        raise DeliveryError(
            f"mask must have the shape of its scan {scan.geometry.shape}, got {labels.shape}",
            remedy="predict the case again",
        )
    boxes = _boxes(labels)
    return tuple(_measured(labels, segment, scan, _box_of(segment, boxes, labels)) for segment in segments)


def _boxes(labels: Labelmap) -> dict[int, Box] | None:
    """Bounding box of each value, or None where values are negative or too large to be found in one pass."""
    if labels.min() < 0 or labels.max() >= _LARGEST_VALUE:
        return None
    found = enumerate(find_objects(labels), start=1)
    return {value: (box[0], box[1], box[2]) for value, box in found if box is not None}


def _box_of(segment: Segment, boxes: dict[int, Box] | None, labels: Labelmap) -> Box | None:
    """Part of the grid that holds the structure; None where it is empty."""
    if boxes is None or 0 in segment.values:
        return tuple(slice(0, size) for size in labels.shape)  # type: ignore[return-value]
    own = [boxes[value] for value in segment.values if value in boxes]
    if not own:
        return None
    i, j, k = (slice(min(box[n].start for box in own), max(box[n].stop for box in own)) for n in range(3))
    return i, j, k


def _measured(labels: Labelmap, segment: Segment, scan: Scan, box: Box | None) -> StructureMeasurements:
    mask = np.zeros((1, 1, 1), bool) if box is None else segment.mask(labels[box])
    voxels = int(np.count_nonzero(mask))
    if box is None or voxels == 0:
        return StructureMeasurements(number=segment.number, name=segment.name, voxels=0, volume_ml=0.0)
    start = np.array([part.start for part in box])
    counts = [np.asarray(np.count_nonzero(mask, axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    longest = diameters(mask, scan.geometry.spacing_mm)
    return StructureMeasurements(
        number=segment.number,
        name=segment.name,
        voxels=voxels,
        volume_ml=voxels * scan.geometry.voxel_ml,
        longest_mm=longest.longest_mm,
        in_slice_mm=longest.in_slice_mm,
        perpendicular_mm=longest.perpendicular_mm,
        slice_index=longest.slice_index + int(start[2]),
        centroid_mm=_centroid_mm(counts, start, scan),
        first_voxel=_ends(counts, start, 0),
        last_voxel=_ends(counts, start, -1),
        intensities=tuple(_intensity(channel[box][mask]) for channel in scan.array),
        unit="HU" if isinstance(scan.origin, SeriesOrigin) and scan.origin.modality == "CT" else None,
    )


def _centroid_mm(counts: list[Array], start: Array, scan: Scan) -> Triple:
    """RAS+ millimetres of the mean voxel, from the voxels at each index of the three axes."""
    means = [float(np.average(np.arange(len(count)), weights=count)) for count in counts]
    r, a, s = scan.geometry.world_mm((np.array(means) + start)[np.newaxis])[0]
    return float(r), float(a), float(s)


def _ends(counts: list[Array], start: Array, end: int) -> tuple[int, int, int]:
    i, j, k = (int(np.flatnonzero(count)[end]) + int(first) for count, first in zip(counts, start, strict=True))
    return i, j, k


def _intensity(voxels: Array) -> Intensity | None:
    """Statistics of the finite voxels; None if there are none."""
    values = voxels if voxels.dtype.kind in "iub" else voxels[np.isfinite(voxels)]
    if not len(values):
        return None
    mean = float(values.mean(dtype=np.float64))
    parts = (values[n : n + _CHUNK].astype(np.float64) - mean for n in range(0, len(values), _CHUNK))
    variance = sum(float((part**2).sum()) for part in parts) / len(values)
    return Intensity(mean=mean, sd=variance**0.5, median=float(np.median(values)))
