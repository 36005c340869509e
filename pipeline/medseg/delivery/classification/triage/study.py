"""One study on the triage page."""

from __future__ import annotations

from dataclasses import dataclass

from medseg.delivery.classification.triage.key_slices import KeySlice
from medseg.errors import DeliveryError
from medseg.records import Array, SliceScores


@dataclass(frozen=True, slots=True, eq=False)
class TriageStudy:
    """One study, its key slices and pictures of them.

    Attributes:
        case_id: Id of the study, as it appears on the page.
        scores: Scores slice by slice.
        keys: Key slices, the most probable first.
        thumbnails: Upright picture of each key slice with square pixels, shape `(rows, columns)`, any range; NaN is
            black.

    Raises:
        DeliveryError: If some key slice does not have exactly one picture with two axes.
    """

    case_id: str
    scores: SliceScores
    keys: tuple[KeySlice, ...] = ()
    thumbnails: tuple[Array, ...] = ()

    def __post_init__(self) -> None:
        shapes = [picture.shape for picture in self.thumbnails]
        if len(shapes) != len(self.keys) or any(len(shape) != 2 or 0 in shape for shape in shapes):
            raise DeliveryError(
                f"thumbnails must be {len(self.keys)} pictures (rows, columns), one per key slice, got shapes {shapes}",
                remedy="cut each key slice from one channel of the scan",
                case_id=self.case_id,
            )
