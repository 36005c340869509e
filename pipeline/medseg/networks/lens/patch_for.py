"""The size of a patch for a structure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from medseg.errors import ConfigError


def patch_for_structure(
    structure_mm: Sequence[float],
    *,
    spacing_mm: Sequence[float],
    field_mm: Sequence[float] | None = None,
    margin: float = 1.0,
    multiple: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Voxels of a patch that covers a structure and the surroundings that the network needs to see.

    With a margin of 1, half the field lies on either side: a voxel on the structure's edge has its whole field inside
    the patch, without padding.

    Args:
        structure_mm: Extent of the structure along each axis.
        spacing_mm: Voxel size of the network's grid.
        field_mm: Size of the receptive field, preferably the effective one; None for no margin.
        margin: Share of the field to add.
        multiple: Number that the patch must be a multiple of along each axis, such as `NetworkConfig.reduction`.

    Returns:
        Fewest voxels per axis that are enough.

    Raises:
        ConfigError: If a length is negative or a spacing not positive.
    """
    axes = len(structure_mm)
    field, steps = field_mm or (0.0,) * axes, multiple or (1,) * axes
    if min(*structure_mm, *field, margin) < 0 or min(*spacing_mm, *steps) <= 0:
        raise ConfigError(
            f"patch: structure, field and margin must not be negative, spacing and multiple positive, got "
            f"{tuple(structure_mm)}, {tuple(field)}, {margin}, {tuple(spacing_mm)} and {tuple(steps)}"
        )
    needed = [
        (extent + margin * seen) / spacing
        for extent, seen, spacing in zip(structure_mm, field, spacing_mm, strict=True)
    ]
    # A rounding error must not add a whole step.
    return tuple(max(1, math.ceil(voxels / step - 1e-9)) * step for voxels, step in zip(needed, steps, strict=True))
