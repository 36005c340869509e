"""The voxel grid in the patient: the only code that edits an affine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from medseg.errors import GeometryError

Affine = npt.NDArray[np.float64]
Triple = tuple[float, float, float]

_AXIS_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))
_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MAX_SHEAR = 1e-3
_SMALLEST_MM = 1e-9  # a thousandth of a nanometre, below any microscope
_FLOAT32 = 1e-6  # rounding of the limit in a header's single precision


class AxisMap(NamedTuple):
    """One axis of a target grid, expressed in voxels of a source grid.

    Attributes:
        source_axis: Axis of the source along which this target axis runs.
        scale: Source voxels per target voxel; negative where the axis is flipped.
        offset: Source coordinate of the target's voxel 0.
    """

    source_axis: int
    scale: float
    offset: float


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A voxel grid: `shape` along `(i, j, k)` and the affine from voxel indices to RAS+ millimetres.

    Args:
        shape: Voxels along `(i, j, k)`, each at least 1.
        affine: `(4, 4)`; maps `(i, j, k, 1)` of a voxel centre to RAS+ millimetres.

    Raises:
        GeometryError: If the shape is empty, or the affine is not finite, singular or sheared.
    """

    shape: tuple[int, int, int]
    affine: Affine

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"grid shape must be three positive sizes, got {tuple(self.shape)}")
        _check_affine(affine)
        affine.setflags(write=False)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_lps_axes(
        cls, shape: tuple[int, int, int], *, origin_mm: Affine, steps_mm: tuple[Affine, Affine, Affine]
    ) -> Self:
        """The grid that DICOM and ITK describe by a first voxel and the step to the next one along each axis.

        Args:
            shape: Voxels along `(i, j, k)`.
            origin_mm: LPS+ millimetres of the centre of voxel (0, 0, 0), shape `(3,)`.
            steps_mm: LPS+ millimetres from a voxel to the next along i, j and k, each of shape `(3,)`.

        Raises:
            GeometryError: If they do not describe a voxel grid.
        """
        affine = np.eye(4)
        affine[:3, :3] = np.stack(steps_mm, axis=1)
        affine[:3, 3] = origin_mm
        return cls(shape, _LPS_FROM_RAS @ affine)

    @classmethod
    def flat(cls, width: int, height: int, *, spacing_mm: tuple[float, float]) -> Self:
        """The grid of a radiograph or photograph, which has no place in the patient: along rows, then along columns."""
        steps = (np.array([spacing_mm[0], 0.0, 0.0]), np.array([0.0, spacing_mm[1], 0.0]), np.array([0.0, 0.0, 1.0]))
        return cls.from_lps_axes((width, height, 1), origin_mm=np.zeros(3), steps_mm=steps)

    @property
    def spacing_mm(self) -> Triple:
        """Distance between neighbouring voxel centres along `(i, j, k)`."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    @property
    def axcodes(self) -> str:
        """The anatomical direction in which each axis grows, such as `RAS` or `LPI`."""
        world_axes, signs = _nearest_world_axes(self.affine)
        return "".join(_AXIS_LETTERS[world][int(sign > 0)] for world, sign in zip(world_axes, signs, strict=True))

    def corners_mm(self) -> npt.NDArray[np.float64]:
        """RAS+ millimetres of the eight corner voxel centres, shape `(8, 3)`."""
        ends = [(0, n - 1) for n in self.shape]
        corners = np.array([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]], dtype=np.float64)
        return self.world_mm(corners)

    def world_mm(self, voxels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """RAS+ millimetres of voxel coordinates, both of shape `(N, 3)`."""
        return np.asarray(voxels @ self.affine[:3, :3].T + self.affine[:3, 3])

    def voxels(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Voxel coordinates of RAS+ millimetres, both of shape `(N, 3)`; the inverse of `world_mm`."""
        return np.asarray(np.linalg.solve(self.affine[:3, :3], (points_mm - self.affine[:3, 3]).T).T)

    def voxels_of_lps(self, points_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Voxel coordinates of the LPS+ millimetres of DICOM and ITK, both of shape `(N, 3)`."""
        return self.voxels(points_mm @ _LPS_FROM_RAS[:3, :3])

    def distance_mm(self, other: Geometry) -> float:
        """Largest displacement between corresponding corners; infinite where the shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1).max())

    def is_close(self, other: Geometry, *, tolerance_mm: float | None = None) -> bool:
        """Whether shapes are equal and no corner lies further apart than the tolerance.

        Args:
            other: The other grid.
            tolerance_mm: Largest distance that counts as close; None means a hundredth of a millimetre, or a tenth of a
                voxel where that is less.
        """
        if tolerance_mm is None:
            tolerance_mm = min(1e-2, 0.1 * min(self.spacing_mm))
        return self.distance_mm(other) <= tolerance_mm

    def difference(self, other: Geometry) -> str:
        """Difference from another grid in words and millimetres, for an error message."""
        if self.shape != other.shape:
            return f"shape {self.shape} against {other.shape}"
        return (
            f"corners up to {self.distance_mm(other):.3g} mm apart "
            f"(axes {self.axcodes} against {other.axcodes}, spacing {_round(self.spacing_mm)} mm against "
            f"{_round(other.spacing_mm)} mm)"
        )

    def reoriented(self, axcodes: str) -> Geometry:
        """The same voxels with axes permuted and flipped so that they grow nearest to `axcodes`."""
        wanted = [_letter(code) for code in axcodes]
        world_axes, signs = _nearest_world_axes(self.affine)
        if sorted(world for world, _ in wanted) != [0, 1, 2]:
            raise GeometryError(f"axis codes must name each of R/L, A/P and S/I once, got {axcodes!r}")
        order = [world_axes.index(world) for world, _ in wanted]
        flips = [signs[axis] != sign for axis, (_, sign) in zip(order, wanted, strict=True)]
        return self.permuted(order, flips=flips)

    def scaled(self, factor: float) -> Geometry:
        """The same grid with its millimetres multiplied, as where a header counts in metres or microns."""
        return Geometry(self.shape, np.diag([factor, factor, factor, 1.0]) @ self.affine) if factor != 1 else self

    def permuted(self, order: Sequence[int], *, flips: Sequence[bool] = (False, False, False)) -> Geometry:
        """The same voxels with axis `n` taken from `order[n]`, and flipped where `flips[n]`."""
        change = np.zeros((4, 4))
        change[3, 3] = 1.0
        for new_axis, (old_axis, is_flipped) in enumerate(zip(order, flips, strict=True)):
            change[old_axis, new_axis] = -1.0 if is_flipped else 1.0
            change[old_axis, 3] = self.shape[old_axis] - 1 if is_flipped else 0.0
        i, j, k = (self.shape[axis] for axis in order)
        return Geometry((i, j, k), self.affine @ change)

    def cropped(self, axis: int, extent: range) -> Geometry:
        """The voxels with `extent.start <= index < extent.stop` along one axis, at their old place in the patient.

        Raises:
            GeometryError: If the extent is empty or reaches beyond the grid.
        """
        if not 0 <= extent.start < extent.stop <= self.shape[axis]:
            raise GeometryError(
                f"crop must hold at least one of the {self.shape[axis]} voxels along axis {axis}, "
                f"got {extent.start} to {extent.stop}"
            )
        shape = [extent.stop - extent.start if n == axis else size for n, size in enumerate(self.shape)]
        change = np.eye(4)
        change[axis, 3] = extent.start
        return Geometry((shape[0], shape[1], shape[2]), self.affine @ change)

    def resampled(self, spacing_mm: Triple) -> Geometry:
        """A grid with this spacing, the same axes and the same centre, that covers the same extent.

        The number of voxels along each axis is the extent over the spacing, rounded half up, and at least 1. An axis
        whose spacing is within a ten-thousandth of the wanted one stays as it is.

        Raises:
            GeometryError: If a spacing is not positive and finite.
        """
        if not (np.isfinite(spacing_mm).all() and min(spacing_mm) > 0):
            raise GeometryError(f"spacing must be positive millimetres, got {tuple(spacing_mm)}")
        old_shape = np.array(self.shape, dtype=np.float64)
        scale = np.array(spacing_mm) / np.array(self.spacing_mm)
        scale = np.where(np.isclose(scale, 1.0, rtol=0, atol=1e-4), 1.0, scale)
        shape = np.maximum(np.floor(old_shape / scale + 0.5), 1.0)
        change = np.diag([*scale, 1.0])
        change[:3, 3] = (old_shape - 1) / 2 - scale * (shape - 1) / 2
        i, j, k = (int(n) for n in shape)
        return Geometry((i, j, k), self.affine @ change)

    def axis_maps(self, source: Geometry) -> tuple[AxisMap, AxisMap, AxisMap]:
        """Map of each axis of this grid to the voxels of a source grid with parallel axes.

        Raises:
            GeometryError: If this grid is rotated or sheared against the source.
        """
        change = np.linalg.inv(source.affine) @ self.affine
        maps = []
        for axis in range(3):
            column = change[:3, axis]
            source_axis = int(np.argmax(np.abs(column)))
            rest = np.delete(column, source_axis)
            if np.abs(rest).max() * self.shape[axis] > 1e-2:
                raise GeometryError(
                    "grids must have parallel axes to be resampled axis by axis", remedy="resample one first"
                )
            maps.append(AxisMap(source_axis, float(column[source_axis]), float(change[source_axis, 3])))
        if sorted(m.source_axis for m in maps) != [0, 1, 2]:
            raise GeometryError(
                "grids must have parallel axes to be resampled axis by axis", remedy="resample one first"
            )
        return maps[0], maps[1], maps[2]

    def to_lps(self) -> Affine:
        """The affine in the LPS+ millimetres of DICOM and ITK."""
        return np.asarray(_LPS_FROM_RAS @ self.affine)


def straightened(shape: tuple[int, int, int], affine: Affine) -> Geometry:
    """The grid with perpendicular axes that is nearest to an affine with sheared ones.

    Voxel sizes and the centre of the grid stay; the axes become the nearest orthonormal ones, so that no corner moves
    further than it must.

    Args:
        shape: Voxels along `(i, j, k)`.
        affine: `(4, 4)` to RAS+ millimetres, finite and not singular.

    Source: Higham 1986, https://doi.org/10.1137/0907079, the orthogonal polar factor.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / spacing)
    straight = np.array(affine, dtype=np.float64)
    straight[:3, :3] = (left @ right) * spacing
    straight[:3, 3] += (affine[:3, :3] - straight[:3, :3]) @ ((np.array(shape) - 1) / 2)
    return Geometry(shape, straight)


def shear_of(affine: Affine) -> float:
    """Deviation of voxel axes from perpendicular: the largest cosine between two of them."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def affine_distance_mm(shape: tuple[int, int, int], affine: Affine, other: Affine) -> float:
    """Largest displacement of a corner of a grid between two affines, which may be sheared."""
    corners = Geometry(shape, np.eye(4)).corners_mm()
    change = np.asarray(affine, dtype=np.float64) - other
    return float(np.linalg.norm(corners @ change[:3, :3].T + change[:3, 3], axis=1).max())


def _check_affine(affine: Affine) -> None:
    """Refuse what is not a voxel grid: wrong shape, not finite, singular or sheared."""
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise GeometryError(f"affine must be a finite 4×4 matrix, got shape {affine.shape}", remedy="repair the header")
    axes = affine[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if spacing.min() == 0:
        raise GeometryError(f"voxel size must be positive, got {_round(spacing)} mm", remedy="repair the header")
    if spacing.min() < _SMALLEST_MM * (1 - _FLOAT32):
        raise GeometryError(
            f"voxel size must be at least {_SMALLEST_MM:g} mm, got {_round(spacing)} mm", remedy="repair the header"
        )
    cosines = (axes / spacing).T @ (axes / spacing)
    shear = float(np.abs(cosines - np.eye(3)).max())
    if shear > _MAX_SHEAR:
        raise GeometryError(
            f"voxel axes must be perpendicular, got a shear of {shear:.3g} (cosine)",
            remedy="resample onto a straight grid",
        )


def _nearest_world_axes(affine: Affine) -> tuple[list[int], list[int]]:
    """For each voxel axis the world axis it runs nearest to, each used once, and its sign."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    best = max(permutations(range(3)), key=lambda order: sum(abs(axes[w, n]) for n, w in enumerate(order)))
    return list(best), [1 if axes[w, n] >= 0 else -1 for n, w in enumerate(best)]


def _letter(code: str) -> tuple[int, int]:
    """World axis and sign of an orientation letter."""
    for world, letters in enumerate(_AXIS_LETTERS):
        if code in letters:
            return world, 1 if letters.index(code) else -1
    raise GeometryError(f"axis code must be one of R L A P S I, got {code!r}")


def significant(value: float, digits: int = 6) -> float:
    """A length rounded to significant digits, never to decimals: a voxel may measure nanometres or metres."""
    return float(f"{value:.{digits}g}")


def _round(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(significant(float(v), 5) for v in values)
