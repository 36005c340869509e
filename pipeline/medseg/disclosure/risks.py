"""Risks that the pixels of an image show."""

from __future__ import annotations

from typing import Literal

from medseg.disclosure.head import shows_head
from medseg.disclosure.text import shows_text
from medseg.geometry import Geometry
from medseg.records import Array

RiskKind = Literal["burned_in_text", "face"]
MESSAGES: dict[RiskKind, str] = {
    "burned_in_text": "text may be burned into the pixels; look at it and black it out",
    "face": "a face may be recognisable in a rendering; deface it before it leaves the hospital",
}
_NO_FACE = ("PT", "NM")


def seen_risks(
    array: Array, geometry: Geometry, *, is_picture: bool, modality: str | None = None
) -> tuple[RiskKind, ...]:
    """Risks that an image shows: text in a picture, and a bare head in a volume.

    Args:
        array: Shape `(C, I, J, K)`.
        geometry: Grid of the image.
        is_picture: Whether it is a picture, without a place in the patient.
        modality: DICOM (0008,0060), if known.
    """
    if is_picture:
        return ("burned_in_text",) if shows_text(array) else ()
    return ("face",) if modality not in _NO_FACE and shows_head(array[0], geometry) else ()
