"""Doses from formulas, so that other programs can be given the very same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def positions_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> list[np.ndarray]:
    axes = [np.arange(size) * mm for size, mm in zip(shape, spacing_mm, strict=True)]
    return np.meshgrid(*axes, indexing="ij")


def beam(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """A dose of 60 Gy that falls off smoothly, and a prediction that is shifted, wavy and 1 % too high."""
    x, y, z = positions_mm(shape, spacing_mm)
    a, b, c = (float(axis.max()) / 2 or 1e6 for axis in (x, y, z))  # nothing changes along an axis of one voxel

    def dose(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        inside = ((x - a) / (0.6 * a)) ** 4 + ((y - b) / (0.5 * b)) ** 4 + ((z - c) / (0.8 * c)) ** 4
        return 60 / (1 + inside**2)

    wave = 2.2 * np.cos(x / 3.1) * np.sin(y / 2.3 + 0.4) * np.cos(z / 4.7)
    return dose(x, y, z).astype(np.float32), (1.01 * dose(x - 1.3, y + 0.8, z - 0.6) + wave).astype(np.float32)
