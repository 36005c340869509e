"""A patient of radiotherapy drawn by formulas: body, target and spinal cord, and the dose of a few photon beams."""

from __future__ import annotations

import numpy as np

from medseg.geometry import Geometry
from medseg.phantom.anatomy import voxels_of
from medseg.records import Array

STRUCTURES = {"background": 0, "PTV": 1, "cord": 2}
PRESCRIPTION_GY = 60.0
GANTRY_DEGREES = (0.0, 72.0, 144.0, 216.0, 288.0)

_AIR_HU, _TISSUE_HU, _BONE_HU, _NOISE_HU = -1000.0, 20.0, 420.0, 12.0
_CORD_MM, _CORD_RADIUS_MM = (0.0, -62.0), 7.0
_VERTEBRA_RADIUS_MM = 19.0
_MARGIN_MM = 9.0  # from the target to the edge of a beam
_PENUMBRA_MM = 4.0
_ATTENUATION_PER_MM = 0.005  # about that of 6 MV photons in water
_BUILD_UP_MM = 6.0


class BeamPatient:
    """One patient, whose dose is a function of body and target alone, so that a network can learn it.

    The body is a cylinder with an elliptic section along the patient's axis, the target an ellipsoid. Beams lie in
    the axial plane, all through the centre of the target; each has the outline of the target as the beam sees it, with
    a margin and a penumbra, and falls off with its depth in the body. Their sum is scaled to the prescription at the
    centre of the target.

    Args:
        seed: Seed of the patient; the same seed gives the same patient.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 53])
        self._body_mm = np.array([155.0, 108.0]) * rng.uniform(0.92, 1.08, 2)
        self.target_mm = rng.uniform((-32.0, -4.0, -14.0), (32.0, 34.0, 14.0))
        self.target_radii_mm = rng.uniform(18.0, 31.0, 3)
        self._noise = rng.integers(2**31)

    def image(self, geometry: Geometry) -> Array:
        """CT of the patient in HU, int16 with the grid's shape."""
        points = geometry.world_mm(voxels_of(geometry))
        hu = np.where(self._is_body(points), _TISSUE_HU, _AIR_HU)
        hu[np.hypot(points[:, 0] - _CORD_MM[0], points[:, 1] - _CORD_MM[1]) <= _VERTEBRA_RADIUS_MM] = _BONE_HU
        hu[self._is_cord(points)] = _TISSUE_HU
        noise = np.random.default_rng([int(self._noise), 1]).normal(scale=_NOISE_HU, size=len(points))
        return np.rint(hu + noise).astype(np.int16).reshape(geometry.shape)

    def label(self, geometry: Geometry) -> Array:
        """Structures of the patient by their values in `STRUCTURES`, uint8 with the grid's shape."""
        points = geometry.world_mm(voxels_of(geometry))
        label = np.zeros(len(points), np.uint8)
        label[(((points - self.target_mm) / self.target_radii_mm) ** 2).sum(axis=1) <= 1] = STRUCTURES["PTV"]
        label[self._is_cord(points)] = STRUCTURES["cord"]
        return label.reshape(geometry.shape)

    def dose_gy(self, geometry: Geometry) -> Array:
        """Dose in Gy, float32 with the grid's shape; 0 outside of the body."""
        points = geometry.world_mm(voxels_of(geometry))
        dose = np.where(self._is_body(points), self._sum_of_beams(points), 0.0)
        scale = PRESCRIPTION_GY / self._sum_of_beams(self.target_mm[np.newaxis])[0]
        return np.asarray((dose * scale).astype(np.float32).reshape(geometry.shape))

    def _sum_of_beams(self, points: Array) -> Array:
        return np.asarray(sum(self._beam(points, np.radians(angle)) for angle in GANTRY_DEGREES))

    def _beam(self, points: Array, angle: float) -> Array:
        """Dose of one beam before it is scaled."""
        along = np.array([np.sin(angle), -np.cos(angle)])  # from the gantry, 0 above a patient who lies on the back
        across = np.array([along[1], -along[0]])
        width = float(np.hypot(*(self.target_radii_mm[:2] * across))) + _MARGIN_MM
        height = float(self.target_radii_mm[2]) + _MARGIN_MM
        offset = points - self.target_mm
        radius = np.hypot(offset[:, :2] @ across / width, offset[:, 2] / height)
        fluence = (1 - np.tanh((radius - 1) * min(width, height) / (2 * _PENUMBRA_MM))) / 2
        depth = self._depth(points[:, :2], along)
        return np.asarray(fluence * np.exp(-_ATTENUATION_PER_MM * depth) * (1 - np.exp(-depth / _BUILD_UP_MM)))

    def _depth(self, points: Array, along: Array) -> Array:
        """Millimetres from the skin to each point along a beam; 0 outside of the body."""
        place, way = points / self._body_mm, along / self._body_mm
        half, length = place @ way, float(way @ way)
        root = half**2 - length * ((place**2).sum(axis=1) - 1)
        return np.asarray(np.maximum((half + np.sqrt(np.maximum(root, 0))) / length, 0))

    def _is_body(self, points: Array) -> Array:
        return np.asarray(((points[:, :2] / self._body_mm) ** 2).sum(axis=1) <= 1)

    def _is_cord(self, points: Array) -> Array:
        return np.asarray(np.hypot(points[:, 0] - _CORD_MM[0], points[:, 1] - _CORD_MM[1]) <= _CORD_RADIUS_MM)
