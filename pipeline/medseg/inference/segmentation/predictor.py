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
from medseg.preprocess import box_around, network_grid, part_of, preprocess_scan
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
        scan's windows that touch the slab are predicted, but nothing else is resampled, predicted or restored.

        Args:
            scan: Scan as it was read.
            slab: Slices to segment; all if not given. The mask is 0 outside, and everywhere if the slab is empty.

        Raises:
            GeometryError: If the slab reaches beyond the scan.
            ScanError: If the scan needs more memory than is free.
        """
        if slab is None:
            return self._draw(scan, scan.geometry)
        mask = self.target.blank(scan.geometry.shape)
        if not slab.is_empty:
            native = scan.geometry.cropped(slab.axis, range(slab.start, slab.stop))
            place = tuple(slice(slab.start, slab.stop) if axis == slab.axis else slice(None) for axis in range(3))
            mask[(..., *place)] = self._draw(scan, native)
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
