"""An upper abdomen drawn by formulas in patient millimetres, so that any grid can sample it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array

LABELS = {"background": 0, "liver": 1, "kidney_right": 2, "kidney_left": 3}
_LABELLED = ("liver", "kidney_right", "kidney_left")

# Organ: centre and radii in RAS+ millimetres, signal of the tissue in a T1-weighted image (arbitrary units).
_ORGANS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float], float]] = {
    "body": ((0, 0, 0), (150, 105, 400), 90),
    "muscle": ((0, -4, 0), (138, 93, 390), 55),
    "spine": ((0, -62, 0), (17, 16, 400), 75),
    "stomach": ((-52, 30, 42), (38, 30, 34), 42),
    "spleen": ((-88, -36, 40), (26, 24, 40), 50),
    "liver": ((62, 8, 40), (66, 62, 52), 72),
    "kidney_right": ((54, -52, -34), (24, 23, 42), 26),
    "kidney_left": ((-54, -54, -26), (24, 22, 43), 26),
}
_VARIATION_MM = 6.0
_WAVES = 4


@dataclass(frozen=True, slots=True)
class _Organ:
    name: str
    centre_mm: Array
    radii_mm: Array
    signal: float


class Anatomy:
    """One patient: organs with varied places and sizes, deformed by smooth waves.

    Args:
        seed: Seed of the patient; the same seed gives the same patient.
        is_empty: Whether the labelled organs are missing, as after surgery.
    """

    def __init__(self, seed: int, *, is_empty: bool = False) -> None:
        rng = np.random.default_rng([seed, 17])
        self._size = rng.uniform(0.9, 1.1)
        self._organs = [_vary(name, rng) for name in _ORGANS if not (is_empty and name in _LABELLED)]
        self._directions = rng.normal(size=(_WAVES, 3)) / rng.uniform(45, 90, size=(_WAVES, 1))
        self._shifts = rng.uniform(0, 2 * np.pi, size=_WAVES)
        self._sways = rng.normal(size=(_WAVES, 3)) * 2.5

    def draw(self, geometry: Geometry) -> tuple[Array, Array]:
        """Tissue signal and labels at every voxel centre.

        Args:
            geometry: Grid to draw on.

        Returns:
            Float signal and uint8 labels, both of the grid's shape.
        """
        points = self._bent(geometry.world_mm(voxels_of(geometry)))
        signal = np.zeros(len(points))
        label = np.zeros(len(points), np.uint8)
        for organ in self._organs:
            inside = (((points - organ.centre_mm) / organ.radii_mm) ** 2).sum(axis=1) <= 1
            signal[inside] = organ.signal
            label[inside] = LABELS.get(organ.name, 0)
        return signal.reshape(geometry.shape), label.reshape(geometry.shape)

    def _bent(self, points_mm: Array) -> Array:
        """The position of each point in the undeformed body."""
        waves = np.sin(points_mm @ self._directions.T + self._shifts)
        return np.asarray((points_mm + waves @ self._sways) / self._size)


def _vary(name: str, rng: np.random.Generator) -> _Organ:
    centre, radii, signal = _ORGANS[name]
    is_organ = name not in ("body", "muscle", "spine")
    shift = rng.uniform(-_VARIATION_MM, _VARIATION_MM, 3) if is_organ else np.zeros(3)
    return _Organ(
        name, np.array(centre) + shift, np.array(radii) * rng.uniform(0.9, 1.1, 3), signal * rng.uniform(0.93, 1.07)
    )


def voxels_of(geometry: Geometry) -> Array:
    """Voxel coordinates of a grid, shape `(N, 3)`."""
    axes = [np.arange(n, dtype=np.float64) for n in geometry.shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
