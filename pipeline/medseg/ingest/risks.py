"""Features of an image that may identify the patient although the header is gone."""

from __future__ import annotations

from collections.abc import Collection

from medseg.disclosure import RiskKind
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


def find_risks(image: ImageSource, seen: Collection[RiskKind]) -> list[RiskKind]:
    """Find burned-in text and faces by the header, the body part, the words of the description or the extent.

    Args:
        image: Image of the source.
        seen: Risks that its pixels show.
    """
    says_text = image.found is not None and any(instance.is_burned_in for instance in image.found.instances)
    risks: list[RiskKind] = ["burned_in_text"] if says_text or "burned_in_text" in seen else []
    if not image.is_picture and ("face" in seen or _may_show_face(image)):
        risks.append("face")
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
