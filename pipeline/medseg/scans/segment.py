"""A structure of a labelmap as other programs show it: its name, number, colour and code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.records import Labelmap, Mask

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class CodedTerm:
    """A concept of a terminology, in the terms of the Code Sequence macro.

    Attributes:
        value: (0008,0100) Code Value.
        scheme: (0008,0102) Coding Scheme Designator, such as `SCT` for SNOMED CT.
        meaning: (0008,0104) Code Meaning, as people read it.

    Source: PS3.3 table 8.8-1a.
    """

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A structure of a labelmap.

    Attributes:
        number: Number among the structures, from 1.
        name: Name of the structure, as the model has it.
        values: Values of the labelmap that show it; several for a region, whose values other segments may share.
        colour: Red, green and blue from 0 to 255.
        category: Category of the structure, such as Anatomical Structure.
        kind: The structure itself; None where no code is known.
        laterality: Side of the body, for codes that leave it open; None otherwise.
    """

    number: int
    name: str
    values: tuple[int, ...]
    colour: Colour
    category: CodedTerm
    kind: CodedTerm | None = None
    laterality: CodedTerm | None = None

    def mask(self, labels: Labelmap) -> Mask:
        """Voxels of the structure, bool, of the labelmap's shape."""
        if len(self.values) == 1:
            return np.asarray(labels == self.values[0])
        return np.isin(labels, self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """The software that drew a mask.

    Attributes:
        name: Name of the model or ensemble.
        version: Version of medseg.
        digest: Leading digits of the checksum of the weights, which tell models of one name apart.
        notice: Words on what the result is not, such as "research software, not a medical device".
    """

    name: str
    version: str
    digest: str
    notice: str
