"""What a rule of the postprocessing has changed in one mask."""

from __future__ import annotations

from typing import Literal

from medseg.configuration import Config


class PostprocessedRecord(Config):
    """Voxels of one structure that were removed or filled after the mask was decided.

    Attributes:
        structure: Name of the structure.
        rule: `largest part` and `smallest volume` have removed voxels, `holes` has added them.
        voxels: Count of these voxels.
        volume_ml: Their volume in millilitres.
        parts: Count of the parts that were removed.
        is_emptied: Whether nothing of the structure was left, since all its parts were too small.
    """

    structure: str
    rule: Literal["largest part", "smallest volume", "holes"]
    voxels: int
    volume_ml: float
    parts: int = 0
    is_emptied: bool = False
