"""Settings of the window that slides over a whole volume."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Axis, Config, Voxels


class InferenceConfig(Config):
    """Sliding window.

    Attributes:
        patch_size: Voxels of the window along the axes of the network's grid; a last axis of 1 means a 2D network
            that predicts slice by slice.
        overlap: Share of a window that its neighbour covers too.
        batch_size: Windows per forward pass.
        mirror_axes: Image axes along which flipped copies are predicted too and averaged.
    """

    patch_size: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(0.5, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)
    mirror_axes: tuple[Axis, ...] = ()
