"""Made-up scanners, each with its own grid, coil shading, noise and signal scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.geometry import Geometry
from medseg.phantom.anatomy import Anatomy
from medseg.records import Array


@dataclass(frozen=True, slots=True)
class Scanner:
    """Imaging properties of a scanner.

    Attributes:
        name: Name of the scanner.
        site: Name of the hospital.
        axcodes: Order and direction of the voxel axes.
        spacing_mm: Voxel size along R, A and S, before the axes are ordered.
        tilt_degrees: Largest rotation of the field of view about each axis.
        gain: Signal units per tissue unit.
        shading: Strength of the coil's bias field.
        noise: Standard deviation of the complex noise, in tissue units.
    """

    name: str
    site: str
    axcodes: str
    spacing_mm: tuple[float, float, float]
    tilt_degrees: float
    gain: float
    shading: float
    noise: float


SCANNERS = (
    Scanner("axial", "north", "LPS", (7.0, 7.0, 7.0), 0.0, 8.0, 0.2, 2.5),
    Scanner("coronal", "north", "RSP", (6.5, 8.0, 6.5), 8.0, 21.0, 0.35, 3.0),
    Scanner("thick", "south", "LAS", (6.0, 6.0, 11.0), 15.0, 3.5, 0.3, 2.0),
)
_FIELD_MM = (310.0, 220.0, 210.0)


def image_anatomy(anatomy: Anatomy, scanner: Scanner, *, seed: int) -> tuple[Array, Array, Geometry]:
    """Scan a patient.

    Args:
        anatomy: Anatomy of the patient.
        scanner: Scanner to use.
        seed: Seed of positioning, shading and noise.

    Returns:
        Image (int16), label (uint8) and their grid.
    """
    rng = np.random.default_rng([seed, 29])
    geometry = scanner_grid(scanner, rng)
    signal, label = anatomy.draw(geometry)
    noise = rng.normal(scale=scanner.noise, size=(2, *geometry.shape))
    magnitude = np.hypot(signal * _shading(geometry.shape, scanner.shading, rng) + noise[0], noise[1])
    return np.rint(magnitude * scanner.gain).astype(np.int16), label, geometry


def scanner_grid(scanner: Scanner, rng: np.random.Generator) -> Geometry:
    """The field of view of the scanner over the upper abdomen, slightly tilted and shifted as if set by hand."""
    size = rng.uniform(0.95, 1.05)
    spacing = np.array(scanner.spacing_mm) * size
    shape = np.maximum(1, np.round(np.array(_FIELD_MM) / scanner.spacing_mm)).astype(int)
    axes = _rotation(np.radians(rng.uniform(-scanner.tilt_degrees, scanner.tilt_degrees, 3))) * spacing
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = rng.uniform(-8, 8, 3) - axes @ ((shape - 1) / 2)
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine).reoriented(scanner.axcodes)


def _rotation(angles: Array) -> Array:
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    about_i = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_j = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_k = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return np.asarray(about_k @ about_j @ about_i)


def _shading(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Array:
    """A smooth factor round one: a random quadratic over the grid, as an exponential."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    field = np.sum([rng.normal() * axis + rng.normal() * axis**2 for axis in axes], axis=0)
    field = field - field.mean()
    return np.asarray(np.exp(strength * field / max(float(np.abs(field).max()), 1e-9)))
