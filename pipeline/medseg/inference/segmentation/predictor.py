"""A loaded segmentation network, for any number of scans."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from medseg.errors import CheckpointError
from medseg.geometry import Geometry
from medseg.inference.loaded_model import LoadedModel
from medseg.inference.segmentation.card import ModelCard, load_card
from medseg.inference.segmentation.memory import check_memory
from medseg.inference.segmentation.sliding import probability_planes, whole_volume_probabilities
from medseg.inference.segmentation.windows import lay_out_windows
from medseg.inference.slab import Slab
from medseg.networks.segmentation import build_network
from medseg.preprocess import Box, box_around, crop_to_body, network_grid, part_of, preprocess_scan
from medseg.preprocess.body import overlap, slices_of, whole_box
from medseg.preprocess.segmentation.restore import restore_planes
from medseg.records import Labelmap, Scan
from medseg.targets import VoxelTarget


class Predictor(LoadedModel[nn.Module, ModelCard]):
    """Draws masks on the scans' own grids."""

    @property
    def target(self) -> VoxelTarget:
        """Meaning of the network's channels."""
        return self.card.target

    def mask(self, scan: Scan, *, slab: Slab | None = None) -> Labelmap:
        """Label values on the scan's own grid, shape `(I, J, K)`, drawn with the memory of a few slices.

        Within a slab the mask is that of the whole scan: the whole scan's statistics normalise it, and all of the whole
        scan's windows that touch the slab are predicted, but nothing else is resampled, predicted or restored. Where
        scans are cropped to the body, that is the whole scan for the network, and the mask is 0 outside.

        Args:
            scan: Scan as it was read.
            slab: Slices to segment; all if not given. The mask is 0 outside, and everywhere if the slab is empty.

        Raises:
            GeometryError: If the slab reaches beyond the scan.
            ScanError: If the scan needs more memory than is free.
        """
        if slab is not None and slab.is_empty:
            return self.target.blank(scan.geometry.shape)
        wanted = whole_box(scan.geometry.shape) if slab is None else _box_of(slab, scan.geometry)
        seen = crop_to_body(scan, self.card.preprocess)
        box = overlap(wanted, seen.box)
        if box == whole_box(scan.geometry.shape):
            return self._draw(scan, scan.geometry)
        mask = self.target.blank(scan.geometry.shape)
        if all(box):  # no range is empty
            mask[(..., *slices_of(box))] = self._draw(seen.scan, part_of(scan.geometry, box))
        return mask

    def _draw(self, scan: Scan, native: Geometry) -> Labelmap:
        """The mask of a part of a scan, on that part's grid."""
        grid = network_grid(scan.geometry, self.card.preprocess)
        layout = lay_out_windows(grid.shape, self.card.inference, box=box_around(native, grid))
        channels, classes = scan.array.shape[0], self.target.channels
        check_memory(layout, scan.geometry, native, channels=channels, classes=classes, device=self.device)
        image, _, _ = preprocess_scan(scan, self.card.preprocess, box=layout.seen)
        planes = probability_planes(
            self.network, image, layout, target=self.target, device=self.device, precision=self.precision
        )
        return restore_planes(planes, part_of(grid, layout.box), native, target=self.target, axis=layout.axis)

    def probabilities(self, image: Tensor) -> Tensor:
        """Class probabilities on the whole of the network's grid, which `mask` never holds.

        Args:
            image: Preprocessed image, `(C, I, J, K)`.

        Returns:
            Probabilities `(classes, I, J, K)`, float32.
        """
        return whole_volume_probabilities(
            self.network,
            image,
            self.card.inference,
            target=self.target,
            device=self.device,
            precision=self.precision,
        )

    @classmethod
    def _read_card(cls, folder: Path, weights: str) -> ModelCard:
        return load_card(folder)

    @classmethod
    def _build(cls, card: ModelCard) -> nn.Module:
        if card.own_network is not None:
            raise CheckpointError(
                f"model of {card.dataset}: was trained with the network {card.own_network}, which must be given",
                remedy="load it in Python, by Predictor.load with the function that builds that network as build",
            )
        return build_network(card.network)


def _box_of(slab: Slab, geometry: Geometry) -> Box:
    """All voxels of a slab's slices.

    Raises:
        GeometryError: If the slab reaches beyond the scan.
    """
    extent = range(slab.start, slab.stop)
    geometry.cropped(slab.axis, extent)
    i, j, k = (extent if axis == slab.axis else range(size) for axis, size in enumerate(geometry.shape))
    return i, j, k
