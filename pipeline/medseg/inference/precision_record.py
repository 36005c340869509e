"""What is recorded of a comparison between bfloat16 and float32."""

from __future__ import annotations

from pydantic import Field

from medseg.configuration import Config

LEAST_AGREEMENT = 0.999
"""Dice of a label between both, below which bfloat16 does not decide as float32 does."""


class PrecisionCheck(Config):
    """Comparison of the decisions of a model in bfloat16 and in float32.

    Attributes:
        agreement: Smallest Dice of a label between both.
        subject: What was segmented: `noise`, or the name of the scan or scans.
        by_label: Dice of each label by name; those of too few voxels to tell are not among them.
    """

    agreement: float
    subject: str
    by_label: dict[str, float] = Field({}, exclude_if=lambda dice: not dice)

    @property
    def agrees(self) -> bool:
        """Whether bfloat16 decides as float32 does."""
        return self.agreement >= LEAST_AGREEMENT
