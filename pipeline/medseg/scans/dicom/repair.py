"""Repair of a series: slices of a tilted gantry are shifted back, missing and uneven ones interpolated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans.dicom.planes import Planes, ProblemKind, Vector, evenness_mm

REPAIRS: dict[ProblemKind, str] = {"tilt": "tilt", "missing_slices": "gaps", "uneven_spacing": "gaps"}


class Straight(NamedTuple):
    """A volume on a straight, even grid, with notes on its repair."""

    array: Array
    geometry: Geometry
    notes: tuple[str, ...]


def straight_geometry(planes: Planes) -> Geometry:
    """The straight, even grid that covers all planes.

    Each plane stays where it is; the grid is as much wider as the planes are shifted against each other, and goes from
    the first to the last plane in even steps.
    """
    low, size = _frame_of(planes)
    places = _even_places(planes)
    shape = (*size, len(places))
    i_mm, j_mm = planes.spacing_mm
    origin = planes.positions_mm[0] + planes.along * low[0] * i_mm + planes.down * low[1] * j_mm
    steps = (planes.along * i_mm, planes.down * j_mm, planes.direction * places[1])
    return Geometry.from_lps_axes(shape, origin_mm=origin, steps_mm=steps)


def straighten(volume: Array, planes: Planes) -> Straight:
    """Resample slices onto `straight_geometry`.

    In the plane, slices are shifted linearly between pixels; across, missing places are interpolated linearly between
    their neighbours. Voxels that no slice covers get the volume's least value, which is air in CT.

    Args:
        volume: Slices of shape `(C, I, J, K)`, K as in `planes`.
        planes: Positions of the slices.

    Returns:
        Volume in its old type (whole numbers are rounded).
    """
    low, (width, height) = _frame_of(planes)
    shifts = _shifts(planes) - low
    air = volume.min()
    wide = np.full((volume.shape[0], width, height, volume.shape[3]), air, np.float32)
    for k, shift in enumerate(shifts):
        for channel in range(volume.shape[0]):
            wide[channel, :, :, k] = _shifted(volume[channel, :, :, k], shift, (width, height), float(air))
    places = _even_places(planes)
    even = np.stack([_between(wide, planes.depths_mm, place, evenness_mm(places[1])) for place in places], axis=-1)
    if volume.dtype.kind in "iu":
        even = np.rint(even)
    made = sum(np.abs(planes.depths_mm - place).min() > evenness_mm(places[1]) for place in places)
    return Straight(even.astype(volume.dtype), straight_geometry(planes), _describe(shifts, made, len(places)))


def _describe(shifts: Vector, made: int, count: int) -> tuple[str, ...]:
    notes = []
    if np.ptp(shifts, axis=0).max() > 1e-3:
        notes.append(f"slices were shifted in their plane by up to {np.ptp(shifts, axis=0).max():.1f} pixels (tilt)")
    if made:
        notes.append(f"{made} of {count} slices were interpolated (gaps)")
    return tuple(notes)


def _shifts(planes: Planes) -> Vector:
    """In-plane place of each plane's first pixel in pixels along i and j, relative to the first plane's, `(K, 2)`."""
    if not planes.is_tilted:
        return np.zeros((len(planes.frames), 2))
    offsets = planes.sideways_mm
    i_mm, j_mm = planes.spacing_mm
    return np.stack([offsets @ planes.along / i_mm, offsets @ planes.down / j_mm], axis=1)


def _frame_of(planes: Planes) -> tuple[Vector, tuple[int, int]]:
    """Lowest shift along i and j, and the width and height that hold all planes."""
    shifts = _shifts(planes)
    shifts = np.where(np.abs(shifts) < 1e-3, 0.0, shifts)
    low = np.floor(shifts.min(axis=0) + 1e-3)
    high = np.ceil(shifts.max(axis=0) - 1e-3)
    first = planes.frames[0]
    extra = (high - low).astype(int)
    return low, (first.columns + int(extra[0]), first.rows + int(extra[1]))


def _shifted(plane: Array, shift: Vector, size: tuple[int, int], air: float) -> Array:
    """A slice `(I, J)` moved by a shift of 0 or more pixels into a larger frame, linear between pixels."""
    whole = np.floor(shift + 1e-3).astype(int)
    rest = np.clip(shift - whole, 0.0, 1.0)
    rest = np.where(rest < 1e-3, 0.0, rest)
    padded = np.full((plane.shape[0] + 2, plane.shape[1] + 2), air, np.float32)
    padded[1:-1, 1:-1] = plane
    moved = padded[1:, :] * (1 - rest[0]) + padded[:-1, :] * rest[0]  # (I + 1, J + 2)
    moved = moved[:, 1:] * (1 - rest[1]) + moved[:, :-1] * rest[1]  # (I + 1, J + 1)
    out: Array = np.full((size[0] + 1, size[1] + 1), air, np.float32)
    i, j = int(whole[0]), int(whole[1])
    out[i : i + moved.shape[0], j : j + moved.shape[1]] = moved
    return out[:-1, :-1]


def _even_places(planes: Planes) -> Vector:
    """Depths of the even grid, from the first plane to the last."""
    return np.linspace(0, planes.depths_mm[-1], planes.even_steps + 1)


def _between(wide: Array, depths: Vector, place: float, tolerance_mm: float) -> Array:
    """The slice at a depth: the nearest one where it lies there, else linear between its two neighbours."""
    nearest = int(np.abs(depths - place).argmin())
    if abs(depths[nearest] - place) <= tolerance_mm or not depths[0] < place < depths[-1]:
        return np.asarray(wide[..., nearest])
    above = int(np.searchsorted(depths, place))
    weight = (place - depths[above - 1]) / (depths[above] - depths[above - 1])
    return np.asarray(wide[..., above - 1] * (1 - weight) + wide[..., above] * weight)
