"""Made-up heads: skin, skull and brain over a neck, as CT, as MR and without the skull."""

from __future__ import annotations

import numpy as np
from medseg.geometry import Geometry

from tests.grids import grid

CT = {"air": -1000.0, "skin": 40.0, "skull": 900.0, "brain": 35.0}
MR = {"air": 0.0, "skin": 400.0, "skull": 60.0, "brain": 300.0}


def head(
    values: dict[str, float],
    *,
    spacing_mm: tuple[float, float, float] = (2.0, 2.0, 3.0),
    size: float = 1.0,
    shoulders: bool = False,
    is_stripped: bool = False,
    noise: float = 10.0,
    axcodes: str = "RAS",
) -> tuple[np.ndarray, Geometry]:
    """A head with its crown in view, in a field of 30 × 30 × 26 cm; the neck, or shoulders, run out of it below.

    Args:
        values: Intensity of each tissue.
        spacing_mm: Voxel size.
        size: Scale of the head.
        shoulders: Whether the field is 50 cm wide and shows shoulders.
        is_stripped: Whether only the brain is left, on one value.
        noise: Standard deviation of the intensities.
        axcodes: Order of the axes.
    """
    side = 500 if shoulders else 300
    shape = tuple(round(mm / step) for mm, step in zip((side, side, 260), spacing_mm, strict=True))
    geometry = grid((shape[0], shape[1], shape[2]), spacing_mm=spacing_mm)
    x, y, z = np.meshgrid(
        *((np.arange(n) - n / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)), indexing="ij"
    )
    skin, skull, brain = (
        ((x / a) ** 2 + (y / b) ** 2 + ((z - 15) / c) ** 2) <= size**2
        for a, b, c in ((77, 98, 95), (70, 91, 88), (64, 85, 82))
    )
    neck = (np.hypot(x / 62, y / 66) <= size) & (z < -20)
    body = skin | neck | ((np.hypot(x / 210, y / 110) <= 1) & (z < -95) if shoulders else np.zeros_like(skin))
    volume = np.full(shape, values["air"])
    if not is_stripped:
        volume[body] = values["skin"]
        volume[skull] = values["skull"]
    volume[brain] = values["brain"]
    grain = np.random.default_rng(0).normal(0, noise, shape)
    if values["air"] == 0:
        grain = np.abs(grain) if not is_stripped else np.where(brain, grain, 0)
    turned = geometry.reoriented(axcodes)
    maps = turned.axis_maps(geometry)
    volume = (volume + grain).transpose([axis.source_axis for axis in maps])
    flips = tuple(slice(None, None, -1 if axis.scale < 0 else 1) for axis in maps)
    return volume[flips].astype(np.float32), turned
