"""Segments, the software that drew them, and the voxels that a library finds of them."""

from __future__ import annotations

import numpy as np
from medseg.geometry import Geometry
from medseg.scans.read_back import ReadBack
from medseg.scans.segment import Algorithm, CodedTerm, Segment

ANATOMY = CodedTerm("91723000", "SCT", "Anatomical Structure")
ALGORITHM = Algorithm(
    name="balls", version="0.1.0", digest="0123abcd", notice="research software, not a medical device"
)


def segments(*names: str) -> tuple[Segment, ...]:
    """A segment per name, with the values 1, 2, ... and colours of their own."""
    return tuple(
        Segment(number=n, name=name, values=(n,), colour=(40 * n % 256, 200 - 7 * n % 200, 90), category=ANATOMY)
        for n, name in enumerate(names, start=1)
    )


def mask_on(found: ReadBack, number: int, grid: Geometry) -> np.ndarray:
    """Voxels of a grid at whose millimetres a library finds the structure; each must lie on a voxel."""
    places = grid.voxels(found.geometry.world_mm(np.argwhere(found.mask(number)).astype(float)))
    voxels = np.rint(places).astype(int)
    np.testing.assert_allclose(places, voxels, atol=1e-3)
    mask = np.zeros(grid.shape, bool)
    mask[tuple(voxels.T)] = True
    return mask
