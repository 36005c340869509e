"""Measurements of a structure, as tables and reports show them."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.geometry import Triple

Indices = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """Intensity of one channel of the scan inside a structure; voxels that are not finite do not count.

    Attributes:
        mean: Mean.
        sd: Standard deviation of the voxels, 0 for a single one.
        median: Median.
    """

    mean: float
    sd: float
    median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureMeasurements:
    """Size, place and intensity of a structure; what an empty one lacks is None.

    Attributes:
        number: Number of its segment.
        name: Name of the structure.
        voxels: Number of voxels.
        volume_ml: Volume of the voxels in millilitres.
        longest_mm: Largest distance between two voxel centres, in three dimensions.
        in_slice_mm: Largest distance between two voxel centres of one slice along k, over all slices.
        perpendicular_mm: Longest chord at a right angle to it, in the same slice, of the outline round the centres.
        slice_index: Index along k of that slice, from 0.
        centroid_mm: RAS+ millimetres of the centroid.
        first_voxel: Least `(i, j, k)` of its bounding box.
        last_voxel: Greatest `(i, j, k)` of its bounding box, which belongs to it.
        intensities: Intensity in each channel, None for one without a finite voxel; empty for an empty structure.
        unit: Unit of the intensities, such as `HU`; None where it is not known.
    """

    number: int
    name: str
    voxels: int
    volume_ml: float
    longest_mm: float | None = None
    in_slice_mm: float | None = None
    perpendicular_mm: float | None = None
    slice_index: int | None = None
    centroid_mm: Triple | None = None
    first_voxel: Indices | None = None
    last_voxel: Indices | None = None
    intensities: tuple[Intensity | None, ...] = ()
    unit: str | None = None
