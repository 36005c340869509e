"""Settings of the window that slides over a whole volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

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
        is_cut_to_image: Whether windows are cut to images that are smaller, where that at least halves them; else such
            images are padded with zeros, as in training.
    """

    patch_size: tuple[Voxels, Voxels, Voxels]
    overlap: float = Field(0.5, ge=0, lt=1)
    batch_size: int = Field(4, ge=1)
    mirror_axes: tuple[Axis, ...] = ()
    is_cut_to_image: bool = Field(False, exclude_if=lambda is_cut: not is_cut)

    def for_image(self, shape: tuple[int, ...], *, multiple: Sequence[int]) -> Self:
        """The windows for an image.

        Args:
            shape: Voxels of the image on the network's grid.
            multiple: What the network needs the sizes of windows to be multiples of, along its two or three axes.
        """
        if not self.is_cut_to_image:
            return self
        multiples = (*multiple, 1)[:3]
        sizes = zip(self.patch_size, shape, multiples, strict=True)
        # Half a window is kept, or the coarsest features of a small image would be single voxels.
        cut = tuple(min(patch, math.ceil(max(size, patch / 2) / step) * step) for patch, size, step in sizes)
        is_worth_it = 2 * math.prod(cut) <= math.prod(self.patch_size)  # a cut changes what the network sees
        return self.model_copy(update={"patch_size": cut}) if is_worth_it else self

    def faster(self) -> Self:
        """Less work: windows overlap by a quarter at most, may be cut to small images, and nothing is mirrored."""
        changes = {"overlap": min(self.overlap, 0.25), "mirror_axes": (), "is_cut_to_image": True}
        return self.model_copy(update=changes)
