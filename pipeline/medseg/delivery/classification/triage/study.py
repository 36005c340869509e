"""What the page shows of one study."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.delivery.classification.triage.key_slices import KeySlice
from medseg.errors import DeliveryError
from medseg.records import Array, SliceScores


@dataclass(frozen=True, slots=True, eq=False)
class TriageStudy:
    """One study, its key slices and pictures of them.

    Attributes:
        case_id: As it is written on the page.
        scores: Slice by slice.
        keys: Of `key_slices`, the best first.
        thumbnails: One per key slice, upright, with square pixels, shape `(rows, columns)`, any range; NaN is black.

    Raises:
        DeliveryError: If there is not one picture with two axes per key slice.
    """

    case_id: str
    scores: SliceScores
    keys: tuple[KeySlice, ...] = ()
    thumbnails: tuple[Array, ...] = ()

    def __post_init__(self) -> None:
        shapes = [picture.shape for picture in self.thumbnails]
        if len(shapes) != len(self.keys) or any(len(shape) != 2 or 0 in shape for shape in shapes):
            raise DeliveryError(
                f"case {self.case_id}: thumbnails must be {len(self.keys)} pictures (rows, columns), one per key "
                f"slice, got shapes {shapes}; cut each key slice from one channel of the scan"
            )
