"""What draws masks: one network, an ensemble, or a model adopted from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from medseg.inference.postprocessed_record import PostprocessedRecord
from medseg.inference.record import ModelIdentity
from medseg.inference.slab import Slab
from medseg.records import Array, Labelmap, Scan
from medseg.targets import VoxelTarget

if TYPE_CHECKING:
    import torch

    from medseg.inference.segmentation.head.card import HeadCard
    from medseg.inference.segmentation.postprocess.config import Postprocessing
    from medseg.inference.segmentation.quality.members_confidence import MemberConfidence
    from medseg.inference.segmentation.quality.statistics import TrainingStatistics

Observer = Callable[["torch.Tensor"], None]
"""Function that is called with probabilities `(channels, I, J, K)` of voxels of one size, each voxel once.

It must not change them. Voxels that no network sees, such as those outside the body, are not among them.
"""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A mask as it was drawn.

    Attributes:
        mask: Native array on the scan's own grid, such as label values `(I, J, K)`.
        disagreement: For each structure 1 minus the mean Dice of the members' masks among each other, by name; NaN
            where no member found it. None for a single model.
        members: Confidence of each member of an ensemble in its own mask, of those whose confidence can be compared;
            empty for a single model.
        changes: What the model's postprocessing has changed in the mask, in order.
        head: Logits of the classes that the network found beside the mask, as `HeadSums` gives them, on the scan's own
            slices; None for a network without a head.
    """

    mask: Labelmap
    disagreement: dict[str, float] | None = None
    members: tuple[MemberConfidence, ...] = ()
    changes: tuple[PostprocessedRecord, ...] = ()
    head: Array | None = None


class PreparedMask(Protocol):
    """All that a model needs of a scan; the scan's own voxels may be released."""

    def draw(self, *, observe: Observer | None = None) -> Drawing:
        """Run the network and decide on the scan's own grid; to be called once.

        Args:
            observe: Function that sees the probabilities on the way.

        Raises:
            ScanError: If the scan needs more memory than is free.
        """


class MaskModel(Protocol):
    """A loaded model that draws masks on the scans' own grids."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the image channels, in order."""

    @property
    def labels(self) -> dict[str, int]:
        """Value of each label by name, the background included."""

    @property
    def target(self) -> VoxelTarget:
        """Meaning of the values that masks are decided from."""

    @property
    def seen_cases(self) -> tuple[str, ...]:
        """Ids of the cases that some network was trained on, in any of its trainings."""

    @property
    def identities(self) -> tuple[ModelIdentity, ...]:
        """Model behind each network; one entry but for ensembles."""

    @property
    def statistics(self) -> TrainingStatistics | None:
        """Statistics of the training cases, by which masks are flagged; None where they were not taken."""

    @property
    def member_statistics(self) -> tuple[TrainingStatistics | None, ...]:
        """The same of the model behind each network, in the order of `identities`."""

    @property
    def postprocessing(self) -> Postprocessing | None:
        """Rules that change a mask after it is decided; None where it stays as it is."""

    @property
    def head(self) -> HeadCard | None:
        """Classes that the network finds beside the mask; None for masks alone, and for several models."""

    @property
    def device(self) -> torch.device:
        """Device of the networks."""

    def faster(self) -> MaskModel:
        """The same model with less work per scan, at some cost in accuracy."""

    def prepare(self, scan: Scan, *, slab: Slab | None = None) -> PreparedMask:
        """Bring a scan onto the network's grid.

        Args:
            scan: Scan as it was read; its array is not changed, nor kept.
            slab: Slices to segment; all if not given. The mask is 0 outside, and everywhere if the slab is empty.

        Raises:
            GeometryError: If the slab reaches beyond the scan.
            ScanError: If the scan needs more memory than is free.
        """
