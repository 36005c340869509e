"""Voxel grids for the tests, made by their parts; `grid_strategies` draws any."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
from medseg.geometry import Geometry


def rotation(angles: tuple[float, float, float]) -> np.ndarray:
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    about_i = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_j = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_k = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_k @ about_j @ about_i


def grid(
    shape: tuple[int, int, int],
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0),
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    axcodes: str = "RAS",
) -> Geometry:
    """A grid by its parts; `shape` and `spacing_mm` are those before the axes are reordered to `axcodes`."""
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles) * spacing_mm
    affine[:3, 3] = origin_mm
    return Geometry(shape, affine).reoriented(axcodes)


OBLIQUE = grid((7, 9, 5), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")

ALL_AXCODES = tuple("".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes))
