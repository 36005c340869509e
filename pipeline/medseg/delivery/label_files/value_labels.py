"""Names and colours of the values of a mask, where structures may share values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from medseg.errors import DeliveryError
from medseg.scans.segment import Colour, Segment


class ValueLabel(NamedTuple):
    """A value of a mask.

    Attributes:
        value: The value.
        name: Name of its structure; where several share it, their names from the innermost to the outermost.
        colour: Colour of its innermost structure, red, green and blue from 0 to 255.
    """

    value: int
    name: str
    colour: Colour


def value_labels(segments: Sequence[Segment]) -> tuple[ValueLabel, ...]:
    """Names and colours of all values, in rising order.

    The structure with the fewest values counts as the innermost one: of a tumour whose core has value 3 and whose
    oedema has 2, value 3 is `core, tumour`, and 2 is `tumour`.

    Raises:
        DeliveryError: If a structure has no name.
    """
    for segment in segments:
        if not segment.name.strip():
            raise DeliveryError(
                f"label files: structure {segment.number} must have a name, got none", remedy="name the label"
            )
    labels = []
    for value in sorted({value for segment in segments for value in segment.values}):
        owners = sorted((one for one in segments if value in one.values), key=lambda one: len(one.values))
        labels.append(ValueLabel(value, ", ".join(one.name for one in owners), owners[0].colour))
    return tuple(labels)
