"""Why an image, a label or a case does not go into the dataset, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from medseg.errors import PipelineError

RefusalKind = Literal[
    "unreadable",  # a file is damaged, or holds what cannot be used
    "series",  # a DICOM series breaks a rule
    "unwanted",  # a localizer, a screen copy, a dose: nobody would want it as an image
    "other_kind",  # a picture beside volumes, or the other way round
    "other_channels",  # colours beside grey
    "no_channel",  # the mapping asks for other images, or for the label of another channel
    "channels",  # a study lacks a channel of the mapping, or has it twice
    "copy",  # the voxels of another image of the source
    "no_image",  # a label that no image of the source fits
    "ambiguous",  # a label that several images fit equally well
    "other_patient",  # a label that fits an image of another patient only by its place
    "refused_image",  # a label whose image was refused
]
_ASIDE: frozenset[RefusalKind] = frozenset(["unwanted", "other_kind", "other_channels", "no_channel", "copy"])


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason.

    Attributes:
        kind: Rule that was broken.
        fact: What must be, and what was got instead.
        remedy: What a person can do; "" if the fact says it.
    """

    kind: RefusalKind
    fact: str
    remedy: str = ""

    @classmethod
    def of_error(cls, kind: RefusalKind, error: PipelineError) -> Self:
        """What an error says."""
        return cls(kind, error.fact, error.remedy)

    @property
    def is_aside(self) -> bool:
        """Whether it is set aside in silence, since nobody would want it in this dataset, and is no failure."""
        return self.kind in _ASIDE

    @property
    def message(self) -> str:
        """Fact and remedy in one line."""
        return f"{self.fact}; {self.remedy}" if self.remedy else self.fact
