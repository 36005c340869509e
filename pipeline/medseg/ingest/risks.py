"""Features of an image that may identify the patient although the header is gone."""

from __future__ import annotations

from typing import NamedTuple

from medseg.ingest.image_source import ImageSource
from medseg.ingest.structure_name import normalised

_HEAD_WORDS = frozenset(
    [
        "head", "brain", "skull", "face", "facial", "neck", "headneck", "hn", "kopf", "schaedel", "schadel",
        "hirn", "gehirn", "hals", "gesicht", "tete", "crane", "cerveau", "cou", "testa", "cranio", "collo",
        "cabeza", "craneo", "cuello", "cerebro", "sinus", "orbit", "orbits", "orbita", "nnh", "mprage", "t1w",
    ]
)  # fmt: skip
_WHOLE_BODY_MM = 900.0
_FACE_MM = 3.5


class Risk(NamedTuple):
    """A reason to review a case before it leaves the hospital.

    Attributes:
        kind: `burned_in_text` or `face`.
        message: Observation and remedy, for a person.
    """

    kind: str
    message: str


def find_risks(image: ImageSource) -> list[Risk]:
    """Find burned-in text by the header, and faces by the body part, the words of the header or the extent.

    No pixel is examined, so a risk that is not reported is not excluded.
    """
    risks = []
    found = image.found
    if found is not None and any(instance.is_burned_in for instance in found.instances):
        risks.append(Risk("burned_in_text", "text may be burned into the pixels; look at it and black it out"))
    if image.picture_origin is not None:
        risks.append(Risk("burned_in_text", "a picture may show text, and says nothing of it; look at it"))
    if not image.is_picture and _may_show_face(image):
        risks.append(Risk("face", "a face may be recognisable in a rendering; deface it before it leaves the hospital"))
    return risks


def _may_show_face(image: ImageSource) -> bool:
    found = image.found
    words = set(normalised(image.description).split("_"))
    if found is not None:
        words |= set(normalised(found.first.body_part).split("_"))
        if found.first.has_recognisable_features:
            return True
    if words & _HEAD_WORDS:
        return True
    grid = image.grid
    if grid is None or max(grid.spacing_mm) > _FACE_MM or image.modality == "PT":
        return False
    return max(n * mm for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)) >= _WHOLE_BODY_MM
