"""The configuration of the pictures that a scan is cut into."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.configuration import Config
from medseg.plane import Plane
from medseg.preprocess.config import ChannelNormalisation, Millimetres

Pixels = Annotated[int, Field(ge=8, le=4096)]


class SliceConfig(Config):
    """Plane, size and intensities of the pictures.

    Attributes:
        plane: Axial slices follow each other from foot to head, coronal ones from back to front, sagittal ones from
            left to right, along the scan's own axis that comes nearest to it; a picture is one slice of any plane.
        pixel_mm: Pixel size of the pictures; a scan with finer pixels is averaged over the larger ones.
        size: Pixels along the two axes of a picture (R and A of axial slices, R and S of coronal, A and S of sagittal,
            as in the scans that our UNets see), cropped or padded with 0, the mean intensity, about the slice's centre.
        context: Slices on either side that are given as further channels (2.5D); beyond the ends the last slice is
            repeated.
        normalisation: One entry per image channel.
    """

    plane: Plane = "axial"
    pixel_mm: Millimetres
    size: tuple[Pixels, Pixels]
    context: int = Field(0, ge=0, le=8)
    normalisation: tuple[ChannelNormalisation, ...] = Field(min_length=1)

    @property
    def channels(self) -> int:
        """Channels of a picture: those of the image for the slice and each of its neighbours."""
        return len(self.normalisation) * (2 * self.context + 1)
