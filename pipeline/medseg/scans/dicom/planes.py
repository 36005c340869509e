"""Geometry of a series: whether planes stack into a straight, even volume, and the problems if they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.geometry import Geometry
from medseg.scans.dicom.frame import Frame, Orientation

Vector = npt.NDArray[np.float64]
ProblemKind = Literal[
    "tilt", "missing_slices", "uneven_spacing", "mixed_orientation", "mixed_sources", "one_position",
    "repeated_positions", "too_few_slices", "no_position", "not_readable", "set_aside", "held_elsewhere",
]  # fmt: skip

SAME_DIRECTION = 1e-4
MAX_TILT = 1e-3
_SAME_POSITION_MM = 1e-3
_SAME_POSITION = 0.01  # of a pixel; less than the above for pixels below a tenth of a millimetre
_EVEN = 0.05  # of a step
_EVEN_MM = 0.0175  # of positions that were rounded to a hundredth of a millimetre along three axes
_ROUNDED_FROM_MM = 0.04  # smallest step of such positions; they would not tell finer ones apart
_SIDEWAYS_MM = 0.02  # of positions that were rounded to a hundredth of a millimetre


class Problem(NamedTuple):
    """Reason why planes are not a volume.

    Attributes:
        kind: Rule that they break.
        message: Rule that must hold, and the value found instead.
        remedy: Action that helps the user.
    """

    kind: ProblemKind
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Parallel planes in the order in which they lie along their normal.

    Attributes:
        frames: Planes, sorted by their place along the normal.
        along: Unit vector along a row, LPS+.
        down: Unit vector along a column, LPS+.
        normal: `along` × `down`.
        spacing_mm: Distance between columns, along i, and between rows, along j.
        positions_mm: Centre of each plane's first pixel, shape `(K, 3)`, LPS+.
    """

    frames: tuple[Frame, ...]
    along: Vector
    down: Vector
    normal: Vector
    spacing_mm: tuple[float, float]
    positions_mm: Vector

    @property
    def depths_mm(self) -> Vector:
        """Place of each plane along the normal, from the first, shape `(K,)`."""
        depths: Vector = (self.positions_mm - self.positions_mm[0]) @ self.normal
        return depths

    @property
    def step_mm(self) -> float:
        """Distance of neighbouring planes along the normal: the smallest even step that the planes follow."""
        if len(self.frames) < 2:
            return 0.0
        steps = np.diff(self.depths_mm)
        # A missing slice makes some steps larger, never smaller; so the base is among the smallest.
        least = float(np.min(steps))
        near = steps[steps <= least + min(2 * evenness_mm(least), 0.5 * least)]
        return float(np.mean(near))

    @property
    def even_steps(self) -> int:
        """Number of steps of an even grid from the first plane to the last."""
        if len(self.frames) < 2:
            return 0
        counts = whole_steps(self)
        return int(np.rint(self.depths_mm[-1] / self.step_mm)) if counts is None else int(counts.sum())

    @property
    def sideways_mm(self) -> Vector:
        """Shift of each plane within itself against the first, LPS+ millimetres, shape `(K, 3)`."""
        offsets = self.positions_mm - self.positions_mm[0]
        shifts: Vector = offsets - np.outer(self.depths_mm, self.normal)
        return shifts

    @property
    def is_tilted(self) -> bool:
        """Whether planes are shifted by more than the rounding of their positions."""
        rounding = max(same_position_mm(self.spacing_mm), min(_SIDEWAYS_MM, _EVEN * min(self.spacing_mm)))
        depth = self.depths_mm[-1] if len(self.frames) > 1 else 1.0
        return bool(np.linalg.norm(self.sideways_mm, axis=1).max(initial=0) > max(MAX_TILT * depth, rounding))

    @property
    def direction(self) -> Vector:
        """Direction from plane to plane per millimetre along the normal, with small deviations from it."""
        if len(self.frames) < 2 or self.is_tilted:
            return self.normal
        way: Vector = (self.positions_mm[-1] - self.positions_mm[0]) / self.depths_mm[-1]
        return way if np.linalg.norm(way - self.normal) <= MAX_TILT else self.normal

    def geometry(self) -> Geometry:
        """The straight grid of planes without a problem, from the first to the last position."""
        first = self.frames[0]
        count = len(self.frames)
        step_mm = self.depths_mm[-1] / (count - 1) if count > 1 else max(first.thickness_mm or 0, 0) or 1.0
        return Geometry.from_lps_axes(
            (first.columns, first.rows, count),
            origin_mm=self.positions_mm[0],
            steps_mm=(self.along * self.spacing_mm[0], self.down * self.spacing_mm[1], self.direction * step_mm),
        )


def stack_planes(frames: Sequence[Frame]) -> Planes | Problem:
    """Order frames of one orientation by position along the slice normal; instance numbers play no part.

    Args:
        frames: Frames of one size, at least one.

    Returns:
        Ordered planes, or the reason why there is no order.
    """
    first = frames[0]
    if any(frame.position_mm is None or frame.orientation is None for frame in frames) or first.orientation is None:
        missing = sum(frame.position_mm is None or frame.orientation is None for frame in frames)
        return Problem(
            "no_position",
            f"every slice must give its position and orientation, got none in {missing} of {len(frames)}",
            "export the original images, not screen copies or cine loops",
        )
    if first.spacing_mm is None:
        return Problem("no_position", "the pixel spacing must be given, got none", "export the original images")
    axes = unit_axes(first.orientation)
    if axes is None:
        return Problem(
            "no_position",
            "the orientation must be two perpendicular unit vectors, got others",
            "export the original images",
        )
    along, down = axes
    normal = np.cross(along, down)
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    rows_mm, columns_mm = first.spacing_mm
    return Planes(
        tuple(frames[n] for n in order),
        along,
        down,
        normal,
        (columns_mm, rows_mm),
        np.ascontiguousarray(positions[order]),
    )


def unit_axes(orientation: Orientation) -> tuple[Vector, Vector] | None:
    """Direction of rows and columns as perpendicular unit vectors, or None where they are neither."""
    along, down = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(along), np.linalg.norm(down)
    if min(lengths) < 0.99 or max(lengths) > 1.01:
        return None
    along, down = along / lengths[0], down / lengths[1]
    if abs(float(along @ down)) > MAX_TILT:
        return None
    return along, down


def find_problems(planes: Planes, *, min_slices: int) -> tuple[Problem, ...]:
    """Problems of ordered planes, one per broken rule; empty for a straight, even volume."""
    count = len(planes.frames)
    depths = planes.depths_mm
    same_mm = same_position_mm(planes.spacing_mm)
    if count > 1 and depths[-1] <= same_mm:
        return (
            Problem(
                "one_position",
                f"slices must lie at different positions, got all {count} at one",
                "they are repeated shots of one place; keep the file of one of them, and lower the minimum number of "
                "slices to 1",
            ),
        )
    if count < min_slices:
        return (
            Problem(
                "too_few_slices",
                f"a volume must have at least {min_slices} slices, got {count}",
                "copy the whole series, or lower the minimum number of slices",
            ),
        )
    repeats = int(np.count_nonzero(np.diff(depths) <= same_mm))
    if repeats:
        return (
            Problem(
                "repeated_positions",
                f"each position must hold one slice, got {repeats} more that the headers do not clearly tell apart",
                "export each acquisition as a series of its own",
            ),
        )
    return tuple(problem for problem in (_tilt(planes), _gaps(planes)) if problem)


def _tilt(planes: Planes) -> Problem | None:
    """Sideways drift of the slices: steady, as from a tilted gantry, or not."""
    if not planes.is_tilted:
        return None
    sideways = planes.sideways_mm
    slope = sideways[-1] / planes.depths_mm[-1]
    degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    steady = np.linalg.norm(sideways - np.outer(planes.depths_mm, slope), axis=1).max() <= 0.5 * min(planes.spacing_mm)
    if steady:
        message = f"slices must be stacked along their normal, got a gantry tilt of {degrees:.1f}°"
    else:
        most = float(np.abs(sideways).max())
        shown = f"{most:.1f}" if most >= 0.1 else f"{most:.2g}"
        message = f"slices must be stacked along their normal, got sideways shifts of up to {shown} mm"
    return Problem("tilt", message, "ingest with the repair tilt to shift the slices onto a straight grid")


def _gaps(planes: Planes) -> Problem | None:
    """Uneven steps: missing slices, or no common spacing."""
    depths = planes.depths_mm
    even = np.linspace(0, depths[-1], len(depths))
    if np.abs(depths - even).max() <= evenness_mm(planes.step_mm):
        return None
    counts = whole_steps(planes)
    if counts is not None:
        missing = int(counts.sum()) - len(counts)
        return Problem(
            "missing_slices",
            f"slices must follow each other every {depths[-1] / counts.sum():.4g} mm, got {missing} missing in "
            f"{int(np.count_nonzero(counts > 1))} gap(s)",
            "copy the missing files, or ingest with the repair gaps to interpolate them",
        )
    steps = np.diff(depths)
    return Problem(
        "uneven_spacing",
        f"slices must be evenly spaced, got steps of {steps.min():.4g} to {steps.max():.4g} mm",
        "ingest with the repair gaps to resample them evenly",
    )


def whole_steps(planes: Planes) -> Vector | None:
    """Whole steps between neighbouring planes, `(K - 1,)`; None if the planes do not follow whole steps."""
    depths = planes.depths_mm
    counts: Vector = np.rint(np.diff(depths) / planes.step_mm)
    refined_mm = depths[-1] / counts.sum()  # over the whole stack, since each position may be rounded
    places = np.concatenate([[0], np.cumsum(counts)]) * refined_mm
    is_whole = counts.min() >= 1 and np.abs(depths - places).max() <= evenness_mm(refined_mm)
    return counts if is_whole else None


def evenness_mm(step_mm: float) -> float:
    """Largest distance of a plane from its even place."""
    return max(_EVEN * step_mm, _EVEN_MM if step_mm >= _ROUNDED_FROM_MM else 0.0)


def same_position_mm(spacing_mm: tuple[float, float] | None) -> float:
    """Largest distance of two planes at one position, by their pixel spacing if that is known."""
    return min(_SAME_POSITION_MM, _SAME_POSITION * min(spacing_mm)) if spacing_mm else _SAME_POSITION_MM
