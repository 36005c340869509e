"""Reasons why an image, a label or a case does not go into the dataset, and their remedies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from medseg.errors import PipelineError
from medseg.records import reason_of

RefusalKind = Literal[
    "unreadable",  # a file is damaged, or holds what cannot be used
    "series",  # a DICOM series breaks a rule
    "unwanted",  # a localizer, a screen capture, a dose: not an image of a dataset
    "other_kind",  # a picture beside volumes, or the other way round
    "other_channels",  # colours beside grey
    "other_modality",  # not the modality that was asked for
    "no_channel",  # the mapping uses other images, or the label of another channel
    "channels",  # a study lacks a channel of the mapping, or has it twice
    "quantities",  # a case lacks a quantity of the mapping, or has it twice
    "replaced",  # a label of which nothing is drawn, since a later one counts or the mapping ignores it
    "copy",  # the voxels of another image of the source
    "no_image",  # a label that no image of the source fits
    "ambiguous",  # a label that several images fit equally well
    "other_patient",  # a label that fits an image of another patient by its position alone
    "refused_image",  # a label whose image was refused
]
_ASIDE: frozenset[RefusalKind] = frozenset(
    ["unwanted", "other_kind", "other_channels", "other_modality", "no_channel", "replaced", "copy"]
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal.

    Attributes:
        kind: Rule that was broken.
        fact: Requirement, and what was found instead.
        remedy: Advice for a person; "" if the fact says it.
    """

    kind: RefusalKind
    fact: str
    remedy: str = ""

    @classmethod
    def of_error(cls, kind: RefusalKind, error: Exception) -> Self:
        """The refusal that an error of a reader means, without the case that the error names."""
        if isinstance(error, PipelineError):
            return cls(kind, error.fact.splitlines()[0], error.remedy)
        return cls(kind, reason_of(error))

    def without_name(self, file_name: str) -> Self:
        """The same without the name of a file, which may be a patient's."""
        fact, remedy = (
            part.replace(f"file {file_name}", "the file").replace(file_name, "…") for part in (self.fact, self.remedy)
        )
        return replace(self, fact=fact, remedy=remedy)

    @property
    def is_aside(self) -> bool:
        """Whether the thing is set aside, counted but no failure, since it does not belong in this dataset."""
        return self.kind in _ASIDE

    @property
    def message(self) -> str:
        """Fact and remedy in one line."""
        return f"{self.fact}; {self.remedy}" if self.remedy else self.fact
