"""The image of each label of a source and how it was found, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from medseg.ingest.image_source import ImageSource, dicom_patient
from medseg.ingest.label_source import LabelSource
from medseg.ingest.refusal import Refusal

MatchKind = Literal["images", "series", "frame", "name", "name_and_grid", "folder", "folder_and_grid"]
WORDS: dict[MatchKind, str] = {
    "images": "referenced images",
    "series": "referenced series",
    "frame": "frame of reference and geometry",
    "name": "name",
    "name_and_grid": "name and grid",
    "folder": "folder",
    "folder_and_grid": "folder and grid",
}


@dataclass(frozen=True, slots=True)
class Match:
    """The image of a label.

    Attributes:
        image: Image of the label.
        kind: Property that the label and the image have in common.
        is_other_patient: Whether the label names another patient than the image.
    """

    image: ImageSource
    kind: MatchKind
    is_other_patient: bool = False

    @property
    def words(self) -> str:
        """The property by which the image was found, for a person."""
        return WORDS[self.kind] + (", though it names another patient" if self.is_other_patient else "")


@dataclass(frozen=True, slots=True, eq=False)
class MatchedLabel:
    """A label that belongs to an image."""

    label: LabelSource
    match: Match

    @property
    def image(self) -> ImageSource:
        """The image that it belongs to."""
        return self.match.image

    @property
    def how(self) -> str:
        """The kind of the label and the property by which its image was found, for a person."""
        return f"{self.label.kind} matched by {self.match.words}"


@dataclass(frozen=True, slots=True, eq=False)
class LostLabel:
    """A label that goes into no case."""

    label: LabelSource
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class MatchedLabels:
    """The labels of a source.

    Attributes:
        matched: Labels of images that can be read.
        lost: All other labels.
    """

    matched: tuple[MatchedLabel, ...]
    lost: tuple[LostLabel, ...]


def settle(label: LabelSource, found: Match | Refusal) -> MatchedLabel | LostLabel:
    """Decide whether a label goes into the case of its image.

    A label that names another patient than its image is accepted only if it refers to the image itself, since exports
    of two patients may share a frame of reference.

    Args:
        label: Label to decide on.
        found: Image of the label, or the reason why there is none.
    """
    if label.refusal:
        return LostLabel(label, label.refusal)
    if isinstance(found, Refusal):
        return LostLabel(label, found)
    image = found.image
    if image.found is not None and label.patient not in ("", dicom_patient(image.found.first)):
        if found.kind == "frame":
            fact = "it names another patient than the image that it fits"
            return LostLabel(label, Refusal("other_patient", fact, "correct the patient, and ingest again"))
        found = replace(found, is_other_patient=True)
    if image.refusal:
        reason = f"its image was refused: {image.refusal.fact}"
        return LostLabel(label, Refusal("refused_image", reason, image.refusal.remedy))
    return MatchedLabel(label, found)
