"""What a program is told about one scan."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from medseg.configuration import Config
from medseg.inference.flag_record import FlagRecord


class MaskAnswer(Config):
    """The mask of one scan, or the reason why there is none.

    Attributes:
        case: Name of the case; that of the request where none was found.
        mask: Bytes of the mask's file on the scan's own grid, as base64 text; None if the case failed.
        file: Name of that file, whose ending tells its form; None if the case failed.
        labels: Value of each label by name.
        regions: Values that make up each structure, where structures overlap.
        volumes_ml: Volume of each label, or of each region, in millilitres by name; None if the case failed.
        flags: Doubts about the mask; None if the case failed.
        error: Reason why there is no mask; None if there is one.
    """

    case: str
    mask: str | None = None
    file: str | None = None
    labels: dict[str, int]
    regions: dict[str, tuple[int, ...]] | None = Field(None, exclude_if=lambda regions: regions is None)
    volumes_ml: dict[str, float] | None = None
    flags: tuple[FlagRecord, ...] | None = None
    error: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        """The answer as plain values, as JSON has them."""
        return self.model_dump(mode="json")
