"""Gaps of a volume that are none: slices of the series lie there, but do not fit to the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.planes import SAME_DIRECTION, Planes, Problem, Vector, evenness_mm

GAP_KINDS = ("missing_slices", "uneven_spacing")
_SAME_PLACES = 0.5  # of the slices of two volumes: more make them two of one place, such as time points


def false_gap(planes: Planes, others: Sequence[Planes]) -> Problem | None:
    """Problem of a volume whose missing slices are held by other volumes of its series; None if they are nowhere.

    Volumes of the same place, such as time points and echoes, hold no slices of each other.

    Args:
        planes: Volume with a gap.
        others: Other volumes of its series.
    """
    wanted = _empty_places(planes)
    near_mm = evenness_mm(planes.step_mm)
    held = [frame for other in others for frame in _frames_at(planes, other, wanted, near_mm)]
    if not held:
        return None
    first = planes.frames[0]
    strange = [frame for frame in held if (frame.rows, frame.columns) != (first.rows, first.columns)]
    form = f", of {strange[0].columns} x {strange[0].rows} pixels" if strange else ""
    return Problem(
        "held_elsewhere",
        f"slices of one volume must have one form, got {len(held)}{form} at the places that {len(planes.frames)} of "
        f"{first.columns} x {first.rows} pixels leave empty",
        "export the series with one matrix, pixel spacing and kind of image",
    )


def _frames_at(planes: Planes, other: Planes, wanted: Vector, near_mm: float) -> list[Frame]:
    """Slices of another volume at the empty places of a volume."""
    if np.abs(np.concatenate([planes.along - other.along, planes.down - other.down])).max() > 10 * SAME_DIRECTION:
        return []
    depths = (other.positions_mm - planes.positions_mm[0]) @ planes.normal
    shared = _near(depths, planes.depths_mm, near_mm).sum()
    if shared > _SAME_PLACES * min(len(depths), len(planes.frames)):
        return []
    fills = _near(depths, wanted, near_mm)
    return [frame for frame, is_there in zip(other.frames, fills, strict=True) if is_there]


def _empty_places(planes: Planes) -> Vector:
    """Depths of the even grid that no slice lies at."""
    places = np.linspace(0, planes.depths_mm[-1], planes.even_steps + 1)
    empty: Vector = places[~_near(places, planes.depths_mm, evenness_mm(planes.step_mm))]
    return empty


def _near(places: Vector, known: Vector, near_mm: float) -> np.ndarray:
    """Whether each place lies at one of the known ones."""
    if not len(known):
        return np.zeros(len(places), bool)
    return np.asarray(np.abs(places[:, np.newaxis] - known[np.newaxis]).min(axis=1) <= near_mm)
