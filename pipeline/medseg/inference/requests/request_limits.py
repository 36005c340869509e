"""The largest request that a served model takes."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config


class RequestLimits(Config):
    """Limits of one scan that a program sends or names.

    Attributes:
        most_voxels: Most voxels of all channels together, as the headers promise them, and most on a network's grid.
        most_bytes: Most bytes of all files, unpacked.
        most_files: Most files.
    """

    most_voxels: int = Field(2**29, ge=1)  # 512 x 512 x 2048, 2 GiB as float32
    most_bytes: int = Field(2**31, ge=1)
    most_files: int = Field(20_000, ge=1)
