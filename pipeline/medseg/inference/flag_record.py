"""One reason why a person should look at a mask before it is used."""

from __future__ import annotations

from typing import Literal

from medseg.configuration import Config

FlagKind = Literal[
    "confidence",
    "disagreement",
    "volume",
    "border",
    "parts",
    "grid",
    "orientation",
    "intensity",
    "modality",
]


class FlagRecord(Config):
    """A flag of a mask, found without a reference.

    Attributes:
        kind: What was looked at: the network's own confidence, the disagreement of several models, a structure's
            volume, its contact with the border of the scan, its parts, or the scan's grid, orientation, intensities or
            modality against those of the training scans.
        structure: Name of the structure; None where the flag is about the whole scan.
        reason: What was found and what is usual, in one sentence.
        value: Number that was found, in the unit that the reason names; None where there is none.
    """

    kind: FlagKind
    structure: str | None = None
    reason: str
    value: float | None = None
